"""Images of your own: a folder of class folders."""

import os
from pathlib import Path
from typing import Literal, NamedTuple, get_args

import numpy as np

from pyg_agfn.datasets.bad_data import BadData, Listed
from pyg_agfn.datasets.image_cache import cached_images
from pyg_agfn.datasets.image_dataset import ImageDataset
from pyg_agfn.datasets.image_listing import (
    ENDINGS,
    Ignored,
    is_clutter,
    is_image_name,
    list_images,
)
from pyg_agfn.datasets.image_pixels import Interpolation, Resize, check_resize
from pyg_agfn.datasets.image_survey import survey_images
from pyg_agfn.datasets.reader import register_dataset
from pyg_agfn.errors import InputError, as_path

Split = Literal["train", "test"]

#: Folders that are splits, in capital or small letters; where several are there the first counts.
TRAIN_FOLDERS = ("train", "training")
TEST_FOLDERS = ("test", "testing", "val", "valid", "validation", "eval")


class ImageFolder(ImageDataset):
    """Images whose class is the folder they are in, or that is around it.

    With folders ``train`` (or ``training``) and ``test`` (or ``testing``, ``val``, ``valid``,
    ``validation``, ``eval``; of several the first in this order) below the root, in capital or
    small letters, these are the splits; else the root's own folders are the classes, and a fixed
    stratified fifth is for testing. Grey if every image is stored so, else RGB. What the folders
    hold beside is in ``ignored``, and in ``notes`` as text.

    Args:
        root: Folder of the class folders, or of ``train`` and ``test``.
        split: ``"train"`` or ``"test"``.
        image_size: Side in pixels; without one, all images must be of one size.
        cache_dir: Folder for decoded images.
        skip_bad: Leave out images that cannot be read, and keep them in ``skipped``. The others
            are in the same split as with them.
        resize: How images that are not square are brought to ``image_size``.
        interpolation: How pixels between pixels are found where an image is resized.

    Raises:
        InputError: No class folders, fewer than two, or other ones for testing; a class with no
            image; one split without the other, or splits inside a class folder.
        BadDataError: Images that cannot be read.
    """

    label_origin = "the folders'"

    def __init__(
        self,
        root: Path,
        split: Split = "train",
        image_size: int | None = None,
        cache_dir: Path | None = None,
        skip_bad: bool = False,
        resize: Resize = "stretch",
        interpolation: Interpolation = "bicubic",
    ) -> None:
        if split not in get_args(Split):
            raise InputError(f"image folder's split must be train or test, got {split!r}")
        check_resize(resize, interpolation)
        root = as_path(root, "root")
        if not os.path.isdir(root):
            raise InputError(f"--root {root}: is no folder; expected one with a folder a class")
        self.ignored = Ignored()
        parts = _find_splits(root, self.ignored)
        if parts is not None:
            train, test = (_read_classes(part, self.ignored) for part in parts)
            if train.classes != test.classes:
                other = ", ".join(sorted(set(train.classes) ^ set(test.classes)))
                both = " and ".join(part.name for part in parts)
                raise InputError(f"--root {root}: {both} differ in class {other}")
            everything = [*train.files, *test.files]
            chosen = train if split == "train" else test
        else:
            found = _read_classes(root, self.ignored)
            everything = found.files
            rows = _split(found.labels, found.classes, root)[get_args(Split).index(split)]
            chosen = _Classes(
                found.classes, [everything[i] for i in rows], [found.labels[i] for i in rows]
            )
        files = chosen.files
        names = [str(file.relative_to(root)) for file in files]
        listed = [Listed(name, label) for name, label in zip(names, chosen.labels, strict=True)]
        bad = BadData(skip_bad)
        unreadable: dict[int, str] = {}
        survey = survey_images(everything, cache_dir)
        channels = 3 if survey.coloured else 1
        images = cached_images(
            files,
            image_size,
            channels,
            cache_dir,
            unreadable,
            resize,
            survey.white,
            interpolation,
        )
        readable = bad.without(listed, files, unreadable)
        bad.raise_if_any()
        super().__init__(
            images,
            [image.label for image in readable],
            chosen.classes,
            [image.name for image in readable],
            skipped=bad.items,
            set_aside=[
                *(listed[i].name for i in unreadable),
                *(str(f.relative_to(root)) for left in self.ignored.unused.values() for f in left),
            ],
        )
        self.white = survey.white
        depth = 3 if parts is not None else 2
        deeper = sum(len(f.relative_to(root).parts) > depth for f in everything)
        self.notes = survey.notes(image_size, resize)
        if deeper:
            self.notes.append(
                f"{deeper:,} of {len(everything):,} images are in folders inside their class folder"
            )
        if self.ignored:
            self.notes.append(str(self.ignored))


@register_dataset("folder", options=("image_size", "resize", "interpolation", "cache", "skip_bad"))
def read_folder(
    split: Split,
    root: Path,
    image_size: int | None = None,
    resize: Resize = "stretch",
    interpolation: Interpolation = "bicubic",
    cache: Path | None = None,
    skip_bad: bool = False,
) -> ImageFolder:
    """:class:`ImageFolder` by the options of a run."""
    return ImageFolder(root, split, image_size, cache, skip_bad, resize, interpolation)


class _Classes(NamedTuple):
    """Class names in order, their images, and each image's class."""

    classes: list[str]
    files: list[Path]
    labels: list[int]


def _content(folder: Path) -> tuple[list[Path], list[str]]:
    """The folders in a folder, by name, and the names of its files; without the system's own."""
    try:
        found = sorted(f for f in folder.iterdir() if not is_clutter(f.name))
    except OSError as error:
        raise InputError(f"--root: {error.filename}: cannot be read ({error.strerror})") from None
    inner = [f for f in found if os.path.isdir(f)]
    return inner, [f.name for f in found if f not in set(inner)]


def _pick(folders: list[Path], names: tuple[str, ...]) -> list[Path]:
    """Those of the folders that have one of these names, in the order of the names."""
    found = [f for f in folders if f.name.lower() in names]
    return sorted(found, key=lambda f: (names.index(f.name.lower()), f.name.swapcase()))


def _find_splits(root: Path, ignored: Ignored) -> tuple[Path, Path] | None:
    """The folders to train and to test on, if the root has them."""
    folders, files = _content(root)
    train, test = _pick(folders, TRAIN_FOLDERS), _pick(folders, TEST_FOLDERS)
    if train and test:
        for folder in folders:
            # What another folder holds beside images does not matter: it is left out as a whole.
            left_out = [] if folder in (train[0], test[0]) else list_images(folder, Ignored())
            if left_out:
                ignored.unused[folder.name] = left_out
        _count_beside(files, ignored)
        return train[0], test[0]
    for folder in [*train, *test]:
        if _is_split(folder):
            other = "/".join(TEST_FOLDERS if train else TRAIN_FOLDERS)
            way = f"give --root {folder}, of which a fifth is then for testing, or " * bool(train)
            raise InputError(
                f"--root {root}: has {folder.name} and no folder beside it named {other}; {way}"
                "add one with the same class folders"
            )
    return None


def _is_split(folder: Path) -> bool:
    """Whether a folder named like a split holds class folders, and so is no class itself."""
    inner, files = _content(folder)
    return len(inner) > 1 and not any(map(is_image_name, files))


def _count_beside(files: list[str], ignored: Ignored) -> None:
    for name in files:
        if is_image_name(name):
            ignored.beside += 1
        else:
            ignored.endings[os.path.splitext(name)[1].lower()] += 1


def _read_classes(folder: Path, ignored: Ignored) -> _Classes:
    folders, beside = _content(folder)
    _count_beside(beside, ignored)
    for inner in folders:
        splits = _pick(_content(inner)[0], (*TRAIN_FOLDERS, *TEST_FOLDERS))
        if len(splits) > 1:
            names = " and ".join(f.name for f in splits[:2])
            raise InputError(
                f"--root: {inner} holds {names}, which are no images of one class; give --root "
                f"{inner} if the classes are in these, else make {folder / splits[0].name}/"
                f"{inner.name} and so on of it"
            )
    if len(folders) < 2:
        way = ""
        if folders and _content(folders[0])[0]:
            way = f"; {folders[0]} has more: give that, if they are the classes"
        raise InputError(
            f"--root: {folder} has {len(folders)} class folders; expected at least two, each with "
            f"its images{way}"
        )
    found = [list_images(inner, ignored) for inner in folders]
    empty = [inner.name for inner, files in zip(folders, found, strict=True) if not files]
    if empty:
        left = f"; {ignored}" if ignored else ""
        raise InputError(
            f"--root: class folder {', '.join(str(folder / name) for name in empty[:5])}"
            f"{f' and {len(empty) - 5} more' * (len(empty) > 5)} has no image "
            f"({' '.join(ENDINGS)}); add some or remove the folder{left}"
        )
    labels = [label for label, files in enumerate(found) for _ in files]
    return _Classes([f.name for f in folders], [f for files in found for f in files], labels)


def _split(labels: list[int], classes: list[str], root: Path) -> list[list[int]]:
    few = [c for c, n in zip(classes, np.bincount(labels), strict=True) if n < 2]
    if few:
        raise InputError(
            f"--root {root}: class {', '.join(few)} has one image, and two are needed to test on "
            "one; add some, or make folders train and test"
        )
    # A fifth, but at least one image of each class.
    size = max(round(0.2 * len(labels)), len(classes))
    from sklearn.model_selection import train_test_split  # takes a second

    parts = train_test_split(range(len(labels)), test_size=size, stratify=labels, random_state=0)
    train, test = (sorted(part) for part in parts)
    # The rounding of the shares may leave a small class out: it is tested on its first image.
    for label in set(labels).difference(labels[i] for i in test):
        moved = labels.index(label)
        train.remove(moved)
        test.append(moved)
    return [train, sorted(test)]
