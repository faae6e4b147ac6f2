"""FERPlus: facial expressions, each labelled by ten people (Barsoum et al., ICMI 2016)."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, NamedTuple, get_args

import numpy as np

from pyg_agfn.choices import LabelMode as LabelMode
from pyg_agfn.choices import Targets
from pyg_agfn.datasets.bad_data import BadData, Listed
from pyg_agfn.datasets.ferplus_votes import (
    CLASSES,
    VOTES,
    check_votes,
    vote_distribution,
    winner,
)
from pyg_agfn.datasets.image_cache import cached_array, cached_images
from pyg_agfn.datasets.image_dataset import ImageDataset
from pyg_agfn.datasets.image_file import resize_grey
from pyg_agfn.datasets.image_pixels import Interpolation, Pixels, Resize, check_resize
from pyg_agfn.datasets.image_survey import survey_images
from pyg_agfn.datasets.lists import find_columns, is_file_name, read_rows
from pyg_agfn.datasets.reader import register_dataset
from pyg_agfn.errors import InputError, as_path

Split = Literal["train", "valid", "test"]

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
        label_mode: Which class the votes give an image, and which images have one:
            ``"plurality"``, ``"majority"`` or ``"official-majority"``
            (:func:`~pyg_agfn.datasets.ferplus_votes.winner`).
        skip_bad: Leave out bad rows and images, and keep them in ``skipped``.
        resize: How images that are not square are brought to ``image_size``.
        targets: ``"votes"`` adds the distribution of each image's votes as ``soft_labels``
            (:func:`~pyg_agfn.datasets.ferplus_votes.vote_distribution`). ``"labels"``: none.
        interpolation: How pixels between pixels are found where an image is resized.

    Raises:
        InputError: No such layout, a column that is missing, a class without an image.
        BadDataError: A row without ten whole votes; an image missing, broken or listed twice.
    """

    def __init__(
        self,
        root: Path,
        split: Split = "train",
        image_size: int | None = None,
        cache_dir: Path | None = None,
        label_mode: LabelMode = "plurality",
        skip_bad: bool = False,
        resize: Resize = "stretch",
        targets: Targets = "labels",
        interpolation: Interpolation = "bicubic",
    ) -> None:
        if split not in get_args(Split):
            raise InputError(f"FERPlus split must be one of {', '.join(FOLDERS)}, got {split!r}")
        if label_mode not in get_args(LabelMode):
            modes = ", ".join(get_args(LabelMode))
            raise InputError(f"FERPlus label_mode must be one of {modes}, got {label_mode!r}")
        if targets not in get_args(Targets):
            raise InputError(f"FERPlus targets must be labels or votes, got {targets!r}")
        check_resize(resize, interpolation)
        root = as_path(root, "root")
        folder = root / FOLDERS[split]
        bad = BadData(skip_bad)
        unreadable: dict[int, str] = {}
        files: list[str | Path]
        if os.path.isfile(path := folder / "label.csv"):
            rows = _read_label_csv(path, bad)
            listed = _labelled(rows, label_mode, path, bad)
            paths = [folder / image.name for image in listed]
            images = cached_images(
                paths,
                image_size,
                1,
                cache_dir,
                unreadable,
                resize,
                interpolation=interpolation,
            )
            files = [*paths]
            others = _images_of_other_splits(root, split)
            self.notes = survey_images(paths, cache_dir).notes(image_size, resize)
        elif all(map(os.path.isfile, pair := (root / "fer2013.csv", root / "fer2013new.csv"))):
            rows, others = _read_vote_csv(pair[1], split, bad)
            listed = _labelled(rows, label_mode, pair[1], bad)
            chosen = tuple(image.row for image in listed)
            # Arrays of older versions, all of them bicubic, have no name for it.
            other = (interpolation,) if image_size and interpolation != "bicubic" else ()
            images, unreadable = cached_array(
                pair,
                (image_size, split, chosen, *other),
                len(listed),
                lambda: _read_faces(*pair, frozenset(chosen), image_size, interpolation),
                cache_dir,
            )
            files = [image.name for image in listed]
        else:
            raise InputError(
                f"--root {root}: looked for {folder / 'label.csv'} beside its images, or for "
                "fer2013.csv with fer2013new.csv"
            )
        readable = bad.without(listed, files, unreadable)
        bad.raise_if_any()
        kept = {image.name for image in readable}
        dropped = dict.fromkeys(row.name for row in rows if row.name not in kept)
        votes = {row.row: row.votes for row in rows}
        soft_labels = [vote_distribution(votes[image.row]) for image in readable]
        super().__init__(
            images,
            [image.label for image in readable],
            CLASSES,
            [f"{FOLDERS[split]}/{image.name}" for image in readable],
            skipped=bad.items,
            set_aside=[*(f"{FOLDERS[split]}/{name}" for name in dropped), *others],
            soft_labels=soft_labels if targets == "votes" else None,
        )


@register_dataset(
    "ferplus",
    splits=("valid", "test"),
    options=("image_size", "resize", "interpolation", "cache", "skip_bad", "label_mode", "targets"),
)
def read_ferplus(
    split: Split,
    root: Path,
    image_size: int | None = None,
    resize: Resize = "stretch",
    interpolation: Interpolation = "bicubic",
    cache: Path | None = None,
    skip_bad: bool = False,
    label_mode: LabelMode = "plurality",
    targets: Targets = "labels",
) -> FERPlus:
    """:class:`FERPlus` by the options of a run."""
    return FERPlus(
        root, split, image_size, cache, label_mode, skip_bad, resize, targets, interpolation
    )


def _images_of_other_splits(root: Path, split: Split) -> list[str]:
    """Names of the images in the other splits' folders, as far as these are there."""
    found = []
    for other, name in FOLDERS.items():
        if other != split and os.path.isdir(root / name):
            found += [f"{name}/{file}" for file in sorted(os.listdir(root / name))]
    return found


class _Votes(NamedTuple):
    name: str
    votes: list[int]
    row: int


def _labelled(rows: Sequence[_Votes], mode: LabelMode, source: Path, bad: BadData) -> list[Listed]:
    """The images that have a label, and it.

    The published lists name some images twice. That is no conflict where both rows say the same.
    """
    listed = []
    seen: dict[str, tuple[int, int | None]] = {}
    for name, votes, row in rows:
        label = winner(votes, mode)
        first, first_label = seen.setdefault(name, (row, label))
        if first_label != label:
            bad.add(f"has votes for another label in row {first}", source, row, name)
        elif label is not None and first == row:
            listed.append(Listed(name, label, str(source), row))
    if not listed:
        bad.raise_if_any()
        raise InputError(f"{source}: no image has a label in one of the eight classes")
    return listed


def _read_label_csv(path: Path, bad: BadData) -> list[_Votes]:
    """``fer0000000.png,"(0, 0, 48, 48)",4,0,0,1,3,2,0,0,0,0`` a line: name, box, ten votes."""
    found = []
    for row, cells, fault in read_rows(path):
        if fault:
            bad.add(fault, path, row)
        elif not is_file_name(name := cells[0].strip()):
            reason = f"expected the name of an image in this folder, got {name[:80]!r}"
            bad.add(reason, path, row)
        elif fault := check_votes(cells[2:]):
            bad.add(fault, path, row, name)
        else:
            found.append(_Votes(name, [int(cell.strip()) for cell in cells[2:]], row))
    return found


def _read_vote_csv(path: Path, split: Split, bad: BadData) -> tuple[list[_Votes], list[str]]:
    """The rows of ``fer2013new.csv`` that label an image of this split, and the other images."""
    rows = read_rows(path)
    columns = find_columns(path, next(rows, None), ["Usage", "Image name", *VOTES])
    folders = {usage: FOLDERS[name] for name, usage in USAGES.items()}
    found, others = [], []
    for row, cells, fault in rows:
        if fault or len(cells) <= max(columns):
            bad.add(fault or "has fewer columns than the header", path, row)
            continue
        usage, name, *votes = (cells[column].strip() for column in columns)
        if not name:  # the official script skips it too
            continue
        if usage not in USAGES.values():
            reason = f"Usage must be one of {', '.join(USAGES.values())}, got {usage[:80]!r}"
            bad.add(reason, path, row, name)
        elif usage != USAGES[split]:
            others.append(f"{folders[usage]}/{name}")
        elif fault := check_votes(votes):
            bad.add(fault, path, row, name)
        else:
            found.append(_Votes(name, [int(cell.strip()) for cell in votes], row))
    return found, others


def _read_faces(
    pixel_path: Path,
    vote_path: Path,
    chosen: frozenset[int],
    size: int | None,
    interpolation: Interpolation,
) -> Iterator[Pixels | str]:
    """Pixels of the images that these rows of ``fer2013new.csv`` label, or why there are none.

    Its row i labels row i of ``fer2013.csv``.
    """
    pixel_rows, vote_rows = read_rows(pixel_path), read_rows(vote_path)
    pixel_columns = find_columns(pixel_path, next(pixel_rows, None), ["Usage", "pixels"])
    (usage_column,) = find_columns(vote_path, next(vote_rows, None), ["Usage"])
    for vote_row in vote_rows:
        where = f"{vote_path}, row {vote_row.number}"
        pixel_row = next(pixel_rows, None)
        if pixel_row is None:
            raise InputError(f"{pixel_path}: ends before {where}; both files need the same rows")
        pixel_where = f"{pixel_path}, row {pixel_row.number}"
        wanted = vote_row.number in chosen
        if pixel_row.fault or len(pixel_row.cells) <= max(pixel_columns):
            if wanted:
                yield f"{pixel_where}: {pixel_row.fault or 'has fewer columns than the header'}"
            continue
        usage = "".join(vote_row.cells[usage_column : usage_column + 1]).strip()
        if usage not in USAGES.values():  # is reported already
            continue
        pixel_usage, pixels = (pixel_row.cells[column].strip() for column in pixel_columns)
        if usage != pixel_usage:
            raise InputError(
                f"{where}: Usage {usage[:80]!r} is not that of {pixel_where}; both files need the "
                "same rows"
            )
        if wanted:
            face = _face(pixels)
            yield (
                f"{pixel_where}: pixels must be {SIDE * SIDE} numbers from 0 to 255"
                if face is None
                else resize_grey(face, size, interpolation=interpolation)[0]
            )
    if (left := next(pixel_rows, None)) is not None:
        raise InputError(f"{vote_path}: ends before {pixel_path}, row {left.number}")


def _face(text: str) -> Pixels | None:
    try:
        values = np.array(text.split(), dtype=np.int64)
    except (ValueError, OverflowError):
        return None
    if values.size != SIDE * SIDE or values.min() < 0 or values.max() > 255:
        return None
    return values.astype(np.uint8).reshape(1, 1, SIDE, SIDE)
