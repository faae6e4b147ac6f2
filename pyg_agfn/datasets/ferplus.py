"""FERPlus: facial expressions, each labelled by ten people (Barsoum et al., ICMI 2016)."""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, NamedTuple, get_args

import numpy as np

from pyg_agfn.datasets.image_cache import Pixels, cached_images, resize_grey
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
        InputError: No such layout; a row without ten whole votes; an image missing or broken.
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
        if (folder / "label.csv").is_file():
            names, labels = _labelled(_read_label_csv(folder / "label.csv"), label_mode, folder)
            images = cached_images([folder / name for name in names], image_size, 1, cache_dir)
        elif (root / "fer2013.csv").is_file() and (root / "fer2013new.csv").is_file():
            rows = list(_read_csv_pair(root, split))
            faces = {votes.name: pixels for votes, pixels in rows}
            source = root / "fer2013new.csv"
            names, labels = _labelled([votes for votes, _ in rows], label_mode, source)
            images = resize_grey(np.stack([faces[name] for name in names]), image_size)
        else:
            raise InputError(
                f"--root {root}: looked for {folder / 'label.csv'} beside its images, or for "
                "fer2013.csv with fer2013new.csv"
            )
        super().__init__(images, labels, CLASSES, [f"{FOLDERS[split]}/{name}" for name in names])


class _Votes(NamedTuple):
    name: str
    votes: list[int]


def _labelled(rows: Sequence[_Votes], mode: LabelMode, source: Path) -> tuple[list[str], list[int]]:
    """The images that have a label, and it."""
    names, labels = [], []
    for name, votes in rows:
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
        if not name or Path(name).name != name or name in (".", ".."):
            raise InputError(f"{where}: expected the name of an image in this folder, got {name!r}")
        found.append(_Votes(name, _votes(row[2:], where)))
    return found


def _read_csv_pair(root: Path, split: Split) -> Iterator[tuple[_Votes, Pixels]]:
    """Votes and pixels of a split; row i of ``fer2013new.csv`` labels row i of ``fer2013.csv``."""
    pixel_path, vote_path = root / "fer2013.csv", root / "fer2013new.csv"
    pixel_rows, vote_rows = _rows(pixel_path), _rows(vote_path)
    usage, pixels = _columns(pixel_path, next(pixel_rows, (1, []))[1], ["Usage", "pixels"])
    names = ["Usage", "Image name", *VOTES]
    columns = _columns(vote_path, next(vote_rows, (1, []))[1], names)
    for line, row in vote_rows:
        where = f"{vote_path}, row {line}"
        pixel_line, pixel_row = next(pixel_rows, (0, []))
        pixel_where = f"{pixel_path}, row {pixel_line}"
        if not pixel_line:
            raise InputError(f"{pixel_path}: ends before {where}; both files need the same rows")
        if len(row) <= max(columns) or len(pixel_row) <= max(usage, pixels):
            short = where if len(row) <= max(columns) else pixel_where
            raise InputError(f"{short}: has fewer columns than the header")
        if row[columns[0]] != pixel_row[usage]:
            raise InputError(f"{where}: Usage {row[columns[0]]!r} is not that of {pixel_where}")
        name = row[columns[1]].strip()
        if row[columns[0]] != USAGES[split] or not name:  # no name: the official script skips it
            continue
        votes = _votes([row[column] for column in columns[2:]], where)
        yield _Votes(name, votes), _face(pixel_row[pixels], pixel_where)
    if (left := next(pixel_rows, None)) is not None:
        raise InputError(f"{vote_path}: ends before {pixel_path}, row {left[0]}")


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
