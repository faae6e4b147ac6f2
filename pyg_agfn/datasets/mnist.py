"""MNIST, as torchvision reads it."""

from pathlib import Path

import torchvision

from pyg_agfn.datasets.image_cache import resize_grey
from pyg_agfn.datasets.image_dataset import ImageDataset
from pyg_agfn.errors import InputError


class MNIST(ImageDataset):
    """70,000 handwritten digits of 28x28 pixels (LeCun et al., 1998).

    Args:
        root: Folder that holds ``MNIST/raw``.
        train: The 60,000 training images, or the 10,000 test images.
        image_size: Side in pixels; 28 if not given.
        cache_dir: Not used: the files hold decoded pixels.

    Raises:
        InputError: The files are not there, or broken.
    """

    def __init__(
        self,
        root: Path,
        train: bool = True,
        image_size: int | None = None,
        cache_dir: Path | None = None,
    ) -> None:
        folder = Path(root) / "MNIST" / "raw"
        try:
            data = torchvision.datasets.MNIST(str(root), train=train, download=False)
        except RuntimeError:
            raise InputError(
                f"--root {root}: looked for MNIST's four files in {folder}, "
                "train-images-idx3-ubyte and so on, unpacked"
            ) from None
        except Exception as error:  # a broken file ends in whatever its reader meets first
            raise InputError(f"MNIST in {folder}: cannot be read ({error})") from None
        part = "train" if train else "t10k"
        if len(data.data) != len(data.targets) or int(data.targets.max()) > 9:
            raise InputError(
                f"{folder / part}-labels-idx1-ubyte: {len(data.targets)} labels up to "
                f"{int(data.targets.max())} for {len(data.data)} images, expected one from 0 to 9 "
                "each; fetch MNIST's files anew"
            )
        super().__init__(
            resize_grey(data.data.numpy()[:, None], image_size),
            data.targets.numpy(),
            [str(digit) for digit in range(10)],
            [f"{part}/{i:05d}" for i in range(len(data))],
        )
