"""scikit-learn's embedded digits: small, offline, enough to try everything on."""

from pathlib import Path

import numpy as np

from pyg_agfn.datasets.image_dataset import ImageDataset
from pyg_agfn.datasets.image_file import resize_grey
from pyg_agfn.datasets.image_pixels import Interpolation, Resize, check_resize
from pyg_agfn.datasets.reader import register_dataset


class Digits(ImageDataset):
    """1,797 handwritten digits of 8x8 pixels, a fixed stratified quarter of them for testing.

    Source: Alpaydin and Kaynak, *Optical Recognition of Handwritten Digits*, UCI.

    Args:
        train: The 1,347 training images, or the 450 test images.
        image_size: Side in pixels; 8 if not given.
        cache_dir: Not used: there is nothing to decode.
        resize: Changes nothing: the images are square.
        interpolation: How pixels between pixels are found where an image is resized.

    Raises:
        InputError: ``resize``, ``interpolation`` or ``image_size`` is out of its range.
    """

    def __init__(
        self,
        train: bool = True,
        image_size: int | None = None,
        cache_dir: Path | None = None,
        resize: Resize = "stretch",
        interpolation: Interpolation = "bicubic",
    ) -> None:
        from sklearn.datasets import load_digits  # takes a second, also to every other data set
        from sklearn.model_selection import train_test_split

        check_resize(resize, interpolation)
        pixels, labels = load_digits(return_X_y=True)
        rows = train_test_split(
            np.arange(len(labels)), test_size=0.25, stratify=labels, random_state=0
        )
        chosen = np.sort(rows[0 if train else 1])
        images = (pixels[chosen].reshape(-1, 1, 8, 8) * (255 / 16)).round().astype(np.uint8)
        super().__init__(
            resize_grey(images, image_size, resize, interpolation),
            labels[chosen],
            [str(digit) for digit in range(10)],
            [f"digits/{row:04d}" for row in chosen],
        )


@register_dataset("digits", needs_root=False, options=("image_size", "interpolation"))
def read_digits(
    split: str, image_size: int | None = None, interpolation: Interpolation = "bicubic"
) -> Digits:
    """:class:`Digits` by the options of a run."""
    return Digits(split == "train", image_size, interpolation=interpolation)
