"""FERPlus: facial expressions, each labelled by ten people (Barsoum et al., ICMI 2016)."""

import csv
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, NamedTuple, get_args

import numpy as np

from pyg_agfn.datasets.image_cache import Pixels, cached_array, cached_images, resize_grey
from pyg_agfn.datasets.image_dataset import ImageDataset
from pyg_agfn.errors import InputError

Split = Literal["train", "valid", "test"]
LabelMode = Literal["plurality", "majority"]

CLASSES = (
    "neutral",
    "happiness",
    "surprise",
    "sadness",
    "anger",
    "disgust",
    "fear",
    "contempt",
)
VOTES = (*CLASSES, "unknown", "NF")
FOLDERS = {"train": "FER2013Train", "valid": "FER2013Valid", "test": "FER2013Test"}
USAGES = {"train": "Training", "valid": "PublicTest", "test": "PrivateTest"}
SIDE = 48


class FERPlus(ImageDataset):
    r"""Grey faces of 48x48 pixels in eight classes.

    Read from the folders that the official script makes,
    ``FER2013Train/``, ``FER2013Valid/`` and ``FER2013Test/``, each with its images and a
    ``label.csv``; or from the pair ``fer2013.csv`` and ``fer2013new.csv``.

    Args:
        root: Folder that holds either.
        split: ``"train"``, ``"valid"`` or ``"test"``.
        image_size: Side in pixels; 48 if not given.
        cache_dir: Folder for decoded images.
        label_mode: ``"plurality"``: the class of most votes (Section 4.1 of the AGFN paper), ties
            to the first column. ``"majority"``: only images of which it has more than half of the
            votes. Images whose winner is ``unknown`` or ``NF`` (no face) are left out of both.

    Raises:
        InputError: No such layout; a row without ten whole votes; an image missing, broken or
            listed twice.
    """

    def __init__(
        self,
        root: Path,
        split: Split = "train",
        image_size: int | None = None,
        cache_dir: Path | None = None,
        label_mode: LabelMode = "plurality",
    ) -> None:
        if split not in get_args(Split):
            raise InputError(f"FERPlus split must be one of {', '.join(FOLDERS)}, got {split!r}")
        if label_mode not in get_args(LabelMode):
            modes = ", ".join(get_args(LabelMode))
            raise InputError(f"FERPlus label_mode must be one of {modes}, got {label_mode!r}")
        root = Path(root)
        folder = root / FOLDERS[split]
        images: Pixels
        if os.path.isfile(folder / "label.csv"):
            names, labels = _labelled(_read_label_csv(folder / "label.csv"), label_mode, folder)
            images = cached_images([folder / name for name in names], image_size, 1, cache_dir)
        elif all(map(os.path.isfile, pair := (root / "fer2013.csv", root / "fer2013new.csv"))):
            names, labels = _labelled(_read_vote_csv(pair[1], split), label_mode, pair[1])
            side = SIDE if image_size is None else image_size
            images = cached_array(
                pair,
                (image_size, 1, split, label_mode),
                (len(names), 1, side, side),
                lambda: (
                    resize_grey(face[None], image_size)[0]
                    for face in _read_faces(*pair, split, frozenset(names))
                ),
                cache_dir,
            )
        else:
            raise InputError(
                f"--root {root}: looked for {folder / 'label.csv'} beside its images, or for "
                "fer2013.csv with fer2013new.csv"
            )
        super().__init__(images, labels, CLASSES, [f"{FOLDERS[split]}/{name}" for name in names])


class _Votes(NamedTuple):
    name: str
    votes: list[int]
    where: str


def _labelled(rows: Sequence[_Votes], mode: LabelMode, source: Path) -> tuple[list[str], list[int]]:
    """The images that have a label, and it."""
    names, labels = [], []
    seen = set()
    for name, votes, where in rows:
        if name in seen:
            raise InputError(f"{where}: image {name!r} is listed twice; remove one of the rows")
        seen.add(name)
        most = max(votes)
        winner = votes.index(most)  # the first of those that tie
        enough = most > 0 if mode == "plurality" else 2 * most > sum(votes)
        if winner < len(CLASSES) and enough:
            names.append(name)
            labels.append(winner)
    if not names:
        raise InputError(f"{source}: no image has a label in one of the eight classes")
    return names, labels


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """The rows of a CSV file that are not empty, with their line numbers."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            for row in reader:
                if any(cell.strip() for cell in row):
                    yield reader.line_num, row
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read as CSV ({error})") from None


def _votes(cells: Sequence[str], where: str) -> list[int]:
    """Ten whole numbers."""
    if len(cells) != len(VOTES):
        raise InputError(
            f"{where}: expected {len(VOTES)} columns of votes ({', '.join(VOTES)}), "
            f"got {len(cells)}"
        )
    votes = []
    for column, cell in zip(VOTES, cells, strict=True):
        if not (cell.strip().isascii() and cell.strip().isdecimal() and len(cell.strip()) < 9):
            raise InputError(f"{where}: votes for {column} must be a whole number, got {cell!r}")
        votes.append(int(cell))
    return votes


def _read_label_csv(path: Path) -> list[_Votes]:
    """``fer0000000.png,"(0, 0, 48, 48)",4,0,0,1,3,2,0,0,0,0`` a line: name, box, ten votes."""
    found = []
    for line, row in _rows(path):
        where = f"{path}, row {line}"
        name = row[0].strip()
        if not name.isprintable() or Path(name).name != name or name in ("", ".", ".."):
            raise InputError(f"{where}: expected the name of an image in this folder, got {name!r}")
        found.append(_Votes(name, _votes(row[2:], where), where))
    return found


def _read_vote_csv(path: Path, split: Split) -> list[_Votes]:
    """The rows of ``fer2013new.csv`` that label an image of this split."""
    rows = _rows(path)
    columns = _columns(path, next(rows, (1, []))[1], ["Usage", "Image name", *VOTES])
    found = []
    for line, row in rows:
        where = f"{path}, row {line}"
        usage, name, *votes = _cells(row, columns, where)
        if usage == USAGES[split] and name.strip():  # no name: the official script skips it
            found.append(_Votes(name.strip(), _votes(votes, where), where))
    return found


def _read_faces(
    pixel_path: Path, vote_path: Path, split: Split, chosen: frozenset[str]
) -> Iterator[Pixels]:
    """Pixels of these images of a split; row i of ``fer2013new.csv`` labels row i of the other."""
    pixel_rows, vote_rows = _rows(pixel_path), _rows(vote_path)
    pixel_columns = _columns(pixel_path, next(pixel_rows, (1, []))[1], ["Usage", "pixels"])
    vote_columns = _columns(vote_path, next(vote_rows, (1, []))[1], ["Usage", "Image name"])
    for line, row in vote_rows:
        where = f"{vote_path}, row {line}"
        usage, name = _cells(row, vote_columns, where)
        pixel_line, pixel_row = next(pixel_rows, (0, []))
        if not pixel_line:
            raise InputError(f"{pixel_path}: ends before {where}; both files need the same rows")
        pixel_where = f"{pixel_path}, row {pixel_line}"
        pixel_usage, pixels = _cells(pixel_row, pixel_columns, pixel_where)
        if usage != pixel_usage:
            raise InputError(f"{where}: Usage {usage!r} is not that of {pixel_where}")
        if usage == USAGES[split] and name.strip() in chosen:
            yield _face(pixels, pixel_where)
    if (left := next(pixel_rows, None)) is not None:
        raise InputError(f"{vote_path}: ends before {pixel_path}, row {left[0]}")


def _cells(row: Sequence[str], columns: Sequence[int], where: str) -> list[str]:
    if len(row) <= max(columns):
        raise InputError(f"{where}: has fewer columns than the header")
    return [row[column] for column in columns]


def _columns(path: Path, header: Sequence[str], names: Sequence[str]) -> list[int]:
    header = [cell.strip() for cell in header]
    missing = [name for name in names if name not in header]
    if missing:
        raise InputError(f"{path}, row 1: column {', '.join(missing)} is missing")
    return [header.index(name) for name in names]


def _face(text: str, where: str) -> Pixels:
    try:
        values = np.array(text.split(), dtype=np.int64)
    except (ValueError, OverflowError):
        values = np.array([-1])
    if values.size != SIDE * SIDE or values.min() < 0 or values.max() > 255:
        raise InputError(f"{where}: pixels must be {SIDE * SIDE} numbers from 0 to 255")
    return values.astype(np.uint8).reshape(1, SIDE, SIDE)
