"""RAF-DB: real-world affective faces (Li, Deng, Du, CVPR 2017). The files need a licence."""

import os
from pathlib import Path
from typing import Literal, get_args

from pyg_agfn.datasets.bad_data import BadData, Listed
from pyg_agfn.datasets.image_cache import cached_images
from pyg_agfn.datasets.image_dataset import ImageDataset
from pyg_agfn.datasets.image_pixels import Interpolation, Resize
from pyg_agfn.datasets.image_survey import survey_images
from pyg_agfn.datasets.lists import is_file_name, read_lines
from pyg_agfn.datasets.reader import register_dataset
from pyg_agfn.errors import InputError, as_path

Split = Literal["train", "test"]

#: In the order of the list's labels 1 to 7.
CLASSES = ("surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral")
LIST = Path("EmoLabel") / "list_patition_label.txt"  # the official file's own spelling
IMAGES = Path("Image") / "aligned"


class RAFDB(ImageDataset):
    """Aligned colour faces of 100x100 pixels in the seven basic classes.

    Args:
        root: Folder ``basic`` of the distribution, or the one around it: it holds
            ``Image/aligned/train_00001_aligned.jpg`` and ``EmoLabel/list_patition_label.txt``.
        split: ``"train"`` (12,271 images) or ``"test"`` (3,068).
        image_size: Side in pixels; 100 if not given.
        cache_dir: Folder for decoded images.
        skip_bad: Leave out bad rows and images, and keep them in ``skipped``.
        resize: How images that are not square are brought to ``image_size``.
        interpolation: How pixels between pixels are found where an image is resized.

    Raises:
        InputError: No such layout, or a class without an image.
        BadDataError: A row that is not ``train_00001.jpg 5``; an image missing, broken or listed
            twice.
    """

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
            raise InputError(f"RAF-DB split must be train or test, got {split!r}")
        root = as_path(root, "root")
        base = next((b for b in (root, root / "basic") if os.path.isfile(b / LIST)), None)
        if base is None:
            raise InputError(
                f"--root {root}: looked for {LIST} and {IMAGES} in it and in its folder basic"
            )
        bad = BadData(skip_bad)
        listed = _read_list(base / LIST, split, bad)
        files = [base / IMAGES / image.name for image in listed]
        unreadable: dict[int, str] = {}
        images = cached_images(
            files, image_size, 3, cache_dir, unreadable, resize, interpolation=interpolation
        )
        readable = bad.without(listed, files, unreadable)
        bad.raise_if_any()
        super().__init__(
            images,
            [image.label for image in readable],
            CLASSES,
            [image.name for image in readable],
            skipped=bad.items,
            set_aside=[listed[i].name for i in unreadable],
        )
        self.notes = survey_images(files, cache_dir).notes(image_size, resize)


@register_dataset("rafdb", options=("image_size", "resize", "interpolation", "cache", "skip_bad"))
def read_rafdb(
    split: Split,
    root: Path,
    image_size: int | None = None,
    resize: Resize = "stretch",
    interpolation: Interpolation = "bicubic",
    cache: Path | None = None,
    skip_bad: bool = False,
) -> RAFDB:
    """:class:`RAFDB` by the options of a run."""
    return RAFDB(root, split, image_size, cache, skip_bad, resize, interpolation)


def _read_list(path: Path, split: Split, bad: BadData) -> list[Listed]:
    """The images of one split, with labels from 0.

    The list says ``train_00001.jpg`` of ``train_00001_aligned.jpg``; some copies of it say the
    latter.
    """
    listed: dict[str, Listed] = {}
    for row, line in read_lines(path):
        name, *rest = line.split()
        stem, dot, ending = name.rpartition(".")
        if len(rest) != 1 or not dot or not is_file_name(name):
            bad.add(f"expected 'train_00001.jpg 5', got {line[:80]!r}", path, row)
            continue
        if not stem.startswith(f"{split}_"):
            continue
        aligned = f"{stem.removesuffix('_aligned')}_aligned.{ending}"
        if rest[0] not in [str(label) for label in range(1, len(CLASSES) + 1)]:
            reason = f"label must be 1 to {len(CLASSES)}, got {rest[0][:80]!r}"
            bad.add(reason, path, row, aligned)
        elif aligned in listed:
            # A line that repeats another one is no conflict.
            if listed[aligned].label != int(rest[0]) - 1:
                reason = f"has another label in row {listed[aligned].row}"
                bad.add(reason, path, row, aligned)
        else:
            listed[aligned] = Listed(aligned, int(rest[0]) - 1, str(path), row)
    if not listed:
        bad.raise_if_any()
        raise InputError(f"{path}: has no line of the {split} split ({split}_00001.jpg 5)")
    return list(listed.values())
