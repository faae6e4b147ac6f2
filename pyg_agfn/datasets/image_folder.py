"""Anybody's images: a folder of class folders."""

import os
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from sklearn.model_selection import train_test_split

from pyg_agfn.datasets.bad_data import BadData, Listed
from pyg_agfn.datasets.image_cache import cached_images
from pyg_agfn.datasets.image_dataset import ImageDataset
from pyg_agfn.datasets.image_file import UnreadableImageError, open_image
from pyg_agfn.errors import InputError, as_path

Split = Literal["train", "test"]

ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff")
TEST_FOLDERS = ("test", "val", "valid")
GREY_MODES = ("1", "L", "LA", "I", "I;16", "I;16B", "F")


class ImageFolder(ImageDataset):
    """Images whose class is the folder they are in.

    With folders ``train`` and ``test`` (or ``val``, or ``valid``) below the root, these are the
    splits; else the root's own folders are the classes, and a fixed stratified fifth is for
    testing. Grey if every image is stored so, else RGB.

    Args:
        root: Folder of the class folders, or of ``train`` and ``test``.
        split: ``"train"`` or ``"test"``.
        image_size: Side in pixels; without one, all images must be of one size.
        cache_dir: Folder for decoded images.
        skip_bad: Leave out images that cannot be read, and keep them in ``skipped``. The others
            are in the same split as with them.

    Raises:
        InputError: No class folders, fewer than two, or other ones for testing; a class with no
            image.
        BadDataError: Images that cannot be read.
    """

    def __init__(
        self,
        root: Path,
        split: Split = "train",
        image_size: int | None = None,
        cache_dir: Path | None = None,
        skip_bad: bool = False,
    ) -> None:
        if split not in get_args(Split):
            raise InputError(f"image folder's split must be train or test, got {split!r}")
        root = as_path(root, "root")
        if not os.path.isdir(root):
            raise InputError(f"--root {root}: is no folder; expected one with a folder a class")
        test = next((root / t for t in TEST_FOLDERS if os.path.isdir(root / t)), None)
        if test is not None and os.path.isdir(root / "train"):
            classes, files, labels = _class_folders(root / "train")
            test_classes, test_files, test_labels = _class_folders(test)
            if test_classes != classes:
                other = ", ".join(sorted(set(classes) ^ set(test_classes)))
                raise InputError(f"--root {root}: train and {test.name} differ in class {other}")
            everything = [*files, *test_files]
            if split == "test":
                files, labels = test_files, test_labels
        else:
            classes, everything, all_labels = _class_folders(root)
            chosen = _split(all_labels, classes, root)[get_args(Split).index(split)]
            files = [everything[i] for i in chosen]
            labels = [all_labels[i] for i in chosen]
        names = [str(file.relative_to(root)) for file in files]
        listed = [Listed(name, label) for name, label in zip(names, labels, strict=True)]
        bad = BadData(skip_bad)
        unreadable: dict[int, str] = {}
        channels = 3 if any(map(_is_coloured, everything)) else 1
        images = cached_images(files, image_size, channels, cache_dir, unreadable)
        listed = bad.without(listed, files, unreadable)
        bad.settle()
        names, labels = [i.name for i in listed], [i.label for i in listed]
        super().__init__(images, labels, classes, names, skipped=bad.items)


def _class_folders(folder: Path) -> tuple[list[str], list[Path], list[int]]:
    """Class names in order, their images, and each image's class."""
    try:
        shown = [f for f in folder.iterdir() if os.path.isdir(f) and not f.name.startswith(".")]
        inside = {f.name: sorted(f.iterdir()) for f in sorted(shown)}
    except OSError as error:
        raise InputError(f"--root: {error.filename}: cannot be read ({error.strerror})") from None
    classes = list(inside)
    if len(classes) < 2:
        raise InputError(
            f"--root: {folder} has {len(classes)} class folders; expected at least two, each with "
            "its images"
        )
    files: list[Path] = []
    labels: list[int] = []
    for label, name in enumerate(classes):
        found = [f for f in inside[name] if f.suffix.lower() in ENDINGS]
        if not found:
            raise InputError(
                f"--root: class folder {folder / name} has no image ({' '.join(ENDINGS)})"
            )
        files += found
        labels += [label] * len(found)
    return classes, files, labels


def _split(labels: list[int], classes: list[str], root: Path) -> list[list[int]]:
    few = [c for c, n in zip(classes, np.bincount(labels), strict=True) if n < 2]
    if few:
        raise InputError(
            f"--root {root}: class {', '.join(few)} has one image, and two are needed to test on "
            "one; add some, or make folders train and test"
        )
    # A fifth, but at least one image of each class.
    size = max(round(0.2 * len(labels)), len(classes))
    parts = train_test_split(range(len(labels)), test_size=size, stratify=labels, random_state=0)
    train, test = (sorted(part) for part in parts)
    # The rounding of the shares may leave a small class out: it is tested on its first image.
    for label in set(labels).difference(labels[i] for i in test):
        moved = labels.index(label)
        train.remove(moved)
        test.append(moved)
    return [train, sorted(test)]


def _is_coloured(file: Path) -> bool:
    try:
        with open_image(file) as image:
            return image.mode not in GREY_MODES
    except UnreadableImageError:  # is reported with the others
        return False
