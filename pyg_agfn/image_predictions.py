"""Predictions for image files, whatever model makes them. Imports no torch."""

import heapq
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pyg_agfn.datasets.image_listing import ENDINGS, Ignored, list_images
from pyg_agfn.datasets.image_memory import OutOfMemoryError
from pyg_agfn.datasets.image_pixels import Pixels
from pyg_agfn.errors import InputError, as_path

if TYPE_CHECKING:
    from torch import Tensor

#: Most pixels that are classified at once, so that memory does not grow with the image size.
PIXELS = 1 << 20
#: Most threads that decode files ahead of the model.
THREADS = 4


@dataclass(frozen=True)
class Reference:
    """A training image that contributed to a prediction.

    Attributes:
        name: Its name in the data set.
        label: The class of its label in training.
        weight: Its share of the prediction. The shares of all references and of the image itself
            add up to 1.
        index: Its position in the run's bank.
    """

    name: str
    label: str
    weight: float
    index: int


@dataclass(frozen=True)
class Prediction:
    """The prediction of a model for one image.

    Attributes:
        file: The image.
        probabilities: By class, in the model's order; they add up to 1.
        references: The training images of the largest weights, largest first. Empty for a model
            without a graph.
        own_weight: The image's own share of the prediction; None for an exported model, which does
            not tell it.
        image: The pixels that the model classified, uint8 (C, H, W).
    """

    file: Path
    probabilities: dict[str, float]
    references: list[Reference]
    own_weight: float | None
    image: "Tensor | Pixels"

    @property
    def top_two(self) -> list[tuple[str, float]]:
        """The two likeliest classes with their probabilities, likeliest first."""
        return self.top(2)

    def top(self, count: int) -> list[tuple[str, float]]:
        """The likeliest classes with their probabilities, likeliest first."""
        return heapq.nlargest(count, self.probabilities.items(), key=lambda item: item[1])

    @property
    def margin(self) -> float:
        """The likeliest class's probability minus that of the second."""
        (_, first), (_, second) = self.top_two
        return first - second

    def as_json(self, top: int | None = None) -> dict[str, object]:
        """The prediction as ``predict.py --format json`` prints it.

        Args:
            top: Give the probabilities of this many classes only, the likeliest first.
        """
        return {
            "file": str(self.file),
            "probabilities": self.probabilities if top is None else dict(self.top(top)),
            "top": [{"class": name, "probability": p} for name, p in self.top_two],
            "margin": self.margin,
            "own_weight": self.own_weight,
            "references": [
                {"name": r.name, "label": r.label, "weight": r.weight} for r in self.references
            ],
        }


def find_images(paths: Iterable[Path], ignored: Ignored | None = None) -> list[Path]:
    """The given files, and all images in the given folders in the order of their names.

    Args:
        paths: Files and folders.
        ignored: Counts the files in the folders that are no images. They are left out.

    Raises:
        InputError: A path does not exist, or a folder has no image.
    """
    ignored = Ignored() if ignored is None else ignored
    files: list[Path] = []
    for path in [paths] if isinstance(paths, str | os.PathLike) else paths:
        path = as_path(path, "path")
        if os.path.isdir(path):  # unlike Path's own, no error for a name that is too long
            found = list_images(path, ignored)
            if not found:
                left = f"; {ignored}" if ignored else ""
                raise InputError(f"{path}: has no image ({' '.join(ENDINGS)}){left}")
            files += found
        elif os.path.exists(path):
            files.append(path)
        else:
            raise InputError(f"{path}: there is no such file or folder")
    return files


def fitting_batch_size(batch_size: int, height: int, width: int) -> int:
    """The batch size, lowered for large images."""
    return max(1, min(batch_size, PIXELS // (height * width)))


def read_in_batches(
    files: Iterable[Path],
    read: Callable[[Path], Pixels],
    batch_size: int,
    report: Callable[[str], None] | None = None,
) -> Iterator[tuple[list[Path], Pixels]]:
    """Image files in batches, (n, C, H, W); threads read the next ones meanwhile.

    Args:
        files: The images; the iterable may be infinite.
        read: Makes a file an array (C, H, W).
        batch_size: Images of a batch; two batches are in memory at most.
        report: Is called with a line about each file that cannot be read, which is left out.

    Raises:
        InputError: A file cannot be read, and there is no ``report``.
        OutOfMemoryError: There is too little memory for an image.
    """
    named: list[Path] = []
    images: list[Pixels] = []
    for file, pixels in _decoded(files, read, batch_size):
        if isinstance(pixels, InputError):
            if report is None:
                raise pixels
            report(str(pixels))
            continue
        named.append(file)
        images.append(pixels)
        if len(images) == batch_size:
            yield named, np.stack(images)
            named, images = [], []
    if images:
        yield named, np.stack(images)


def _decoded(
    files: Iterable[Path], read: Callable[[Path], Pixels], ahead: int
) -> Iterator[tuple[Path, Pixels | InputError]]:
    """Each file's pixels, or the reason why it has none; ``ahead`` files are read in advance."""

    def attempt(file: Path) -> tuple[Path, Pixels | InputError]:
        try:
            return file, read(file)
        except OutOfMemoryError:  # the image is not bad
            raise
        except InputError as error:
            return file, error

    remaining = iter(files)
    pool = ThreadPoolExecutor(min(THREADS, os.cpu_count() or 1))
    try:
        waiting = deque(pool.submit(attempt, file) for file in islice(remaining, ahead))
        while waiting:
            done = waiting.popleft().result()
            waiting.extend(pool.submit(attempt, file) for file in islice(remaining, 1))
            yield done
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
