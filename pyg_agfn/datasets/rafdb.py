"""RAF-DB: real-world affective faces (Li, Deng, Du, CVPR 2017). The files need a licence."""

import os
from pathlib import Path
from typing import Literal, get_args

from pyg_agfn.datasets.image_cache import cached_images
from pyg_agfn.datasets.image_dataset import ImageDataset
from pyg_agfn.errors import InputError

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

    Raises:
        InputError: No such layout; a line that is not ``train_00001.jpg 5``; an image missing or
            broken.
    """

    def __init__(
        self,
        root: Path,
        split: Split = "train",
        image_size: int | None = None,
        cache_dir: Path | None = None,
    ) -> None:
        if split not in get_args(Split):
            raise InputError(f"RAF-DB split must be train or test, got {split!r}")
        root = Path(root)
        base = next((b for b in (root, root / "basic") if os.path.isfile(b / LIST)), None)
        if base is None:
            raise InputError(
                f"--root {root}: looked for {LIST} and {IMAGES} in it and in its folder basic"
            )
        names, labels = _read_list(base / LIST, split)
        files = [base / IMAGES / name for name in names]
        images = cached_images(files, image_size, 3, cache_dir)
        super().__init__(images, labels, CLASSES, names, first_label=1)


def _read_list(path: Path, split: Split) -> tuple[list[str], list[int]]:
    """File names and labels from 0 of one split."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({error})") from None
    names, labels = [], []
    for row, line in enumerate(lines, 1):
        cells = line.split()
        if not cells:
            continue
        stem, dot, ending = cells[0].rpartition(".")
        if len(cells) != 2 or not dot or "/" in cells[0] or "\\" in cells[0]:
            raise InputError(f"{path}, row {row}: expected 'train_00001.jpg 5', got {line!r}")
        if cells[1] not in [str(label) for label in range(1, len(CLASSES) + 1)]:
            raise InputError(
                f"{path}, row {row}: label must be 1 to {len(CLASSES)}, got {cells[1]!r}"
            )
        if stem.startswith(f"{split}_"):
            names.append(f"{stem}_aligned.{ending}")
            labels.append(int(cells[1]) - 1)
    if not names:
        raise InputError(f"{path}: has no line of the {split} split ({split}_00001.jpg 5)")
    return names, labels
