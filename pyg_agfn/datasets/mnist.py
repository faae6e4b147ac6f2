"""MNIST, as torchvision reads its files."""

import os
from pathlib import Path

from pyg_agfn.datasets.image_dataset import ImageDataset
from pyg_agfn.datasets.image_file import resize_grey
from pyg_agfn.datasets.image_pixels import Interpolation, Resize, check_resize
from pyg_agfn.datasets.reader import register_dataset
from pyg_agfn.errors import InputError, as_path

#: Most bytes of a file of images; MNIST's has 47 million.
SIZE_LIMIT = 1 << 30


class MNIST(ImageDataset):
    """70,000 handwritten digits of 28x28 pixels (LeCun et al., 1998).

    Args:
        root: Folder that holds ``MNIST/raw``.
        train: The 60,000 training images, or the 10,000 test images.
        image_size: Side in pixels; 28 if not given.
        cache_dir: Not used: the files hold decoded pixels.
        resize: How images that are not square, as MNIST's are, are brought to ``image_size``.
        interpolation: How pixels between pixels are found where an image is resized.

    Raises:
        InputError: The files are not there, or broken.
    """

    def __init__(
        self,
        root: Path,
        train: bool = True,
        image_size: int | None = None,
        cache_dir: Path | None = None,
        resize: Resize = "stretch",
        interpolation: Interpolation = "bicubic",
    ) -> None:
        # torchvision takes seconds to import, also to every other data set.
        from torchvision.datasets.mnist import read_image_file, read_label_file

        check_resize(resize, interpolation)
        folder = as_path(root, "root") / "MNIST" / "raw"
        part = "train" if train else "t10k"
        files = [folder / f"{part}-{kind}-ubyte" for kind in ("images-idx3", "labels-idx1")]
        if not all(map(os.path.isfile, files)):
            raise InputError(
                f"--root {root}: looked for MNIST's four files in {folder}, "
                "train-images-idx3-ubyte and so on, unpacked"
            )
        for file in files:
            if (size := file.stat().st_size) > SIZE_LIMIT:
                raise InputError(f"{file}: {size:,} bytes, where {SIZE_LIMIT:,} are the most")
        try:
            # torchvision's own class would unpickle a folder `processed`, where there is one.
            data, targets = read_image_file(str(files[0])), read_label_file(str(files[1]))
        except Exception as error:  # a broken file ends in whatever its reader meets first
            reason = str(error) or type(error).__name__
            raise InputError(f"MNIST in {folder}: cannot be read ({reason})") from None
        if len(data) != len(targets) or int(targets.max()) > 9:
            raise InputError(
                f"{folder / part}-labels-idx1-ubyte: {len(targets)} labels up to "
                f"{int(targets.max())} for {len(data)} images, expected one from 0 to 9 "
                "each; fetch MNIST's files again"
            )
        super().__init__(
            resize_grey(data.numpy()[:, None], image_size, resize, interpolation),
            targets.numpy(),
            [str(digit) for digit in range(10)],
            [f"{part}/{i:05d}" for i in range(len(data))],
        )


@register_dataset("mnist", options=("image_size", "interpolation"))
def read_mnist(
    split: str, root: Path, image_size: int | None = None, interpolation: Interpolation = "bicubic"
) -> MNIST:
    """:class:`MNIST` by the options of a run."""
    return MNIST(root, split == "train", image_size, interpolation=interpolation)
