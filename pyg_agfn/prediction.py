"""Predictions for image files, each with the training images that contributed to it."""

import heapq
import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pyg_agfn.datasets.augmentation import to_float
from pyg_agfn.datasets.image_file import decode
from pyg_agfn.datasets.image_listing import ENDINGS, Ignored, list_images
from pyg_agfn.datasets.image_memory import OutOfMemoryError
from pyg_agfn.datasets.image_pixels import Pixels
from pyg_agfn.errors import InputError, as_path
from pyg_agfn.nn import AGFNClassifier
from pyg_agfn.runs.folder import Run

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
        own_weight: The image's own share of the prediction.
        image: The pixels that the model classified, uint8 (C, H, W).
    """

    file: Path
    probabilities: dict[str, float]
    references: list[Reference]
    own_weight: float
    image: Tensor

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


def predict(
    run: Run,
    files: Iterable[Path],
    num_references: int = 5,
    batch_size: int = 256,
    report: Callable[[str], None] | None = None,
) -> Generator[Prediction, None, None]:
    """Classifies image files of any size and mode, each independently, in their order.

    Files are read while the caller takes predictions: at most two batches of them are in memory,
    however many files there are. The model runs on its own device.

    Args:
        run: A loaded run.
        files: The images; the iterable may be infinite.
        num_references: References listed for each image.
        batch_size: Most images that are classified at once; it is lowered for large images. It
            changes no prediction.
        report: Is called with a line about each file that cannot be read; the other files are
            classified.

    Raises:
        InputError: A file cannot be read and there is no ``report``, or a prediction is not
            finite, as with weights that are far too large.
        OutOfMemoryError: There is too little memory for an image.
    """
    refuse_own_transforms(run)
    batch_size = _fitting(run, batch_size)
    named: list[Path] = []
    images: list[Pixels] = []
    for file, pixels in _decoded(run, files, batch_size):
        if isinstance(pixels, InputError):
            if report is None:
                raise pixels
            report(str(pixels))
            continue
        named.append(file)
        images.append(pixels)
        if len(images) == batch_size:
            yield from classify(run, named, torch.from_numpy(np.stack(images)), num_references)
            named, images = [], []
    if images:
        yield from classify(run, named, torch.from_numpy(np.stack(images)), num_references)


def refuse_own_transforms(run: Run) -> None:
    """Refuses a model that no image file can be made an input of.

    Raises:
        InputError: Transforms of the user's own made the images that it was trained on.
    """
    if run.config.own_transforms:
        raise InputError(
            "the model was trained on images that transforms in Python made: make them by the same "
            "transforms, and classify them by TrainingResult.load(folder).predict(images)"
        )


@torch.no_grad()
def classify(
    run: Run, files: Sequence[Path], images: Tensor, num_references: int = 5, batch_size: int = 256
) -> Iterator[Prediction]:
    """Classifies images in memory, uint8 (n, C, H, W) of the model's size.

    Args:
        run: A loaded run.
        files: The names of the images.
        images: The images.
        num_references: References listed for each image.
        batch_size: Most images that are classified at once; it is lowered for large images. It
            changes no prediction.

    Raises:
        InputError: A prediction is not finite.
    """
    batch_size = _fitting(run, batch_size)
    device = next(run.model.parameters()).device
    listed: list[list[Reference]]
    for start in range(0, len(files), batch_size):
        part = slice(start, start + batch_size)
        features = run.model.features(to_float(images[part].to(device)))
        if run.references is None or not isinstance(run.model, AGFNClassifier):
            probabilities = run.model.head(features).softmax(1)
            own, listed = torch.ones(len(features)), []
        else:
            bank = run.references.bank
            probabilities = run.model.classifier(bank(features)).softmax(1)
            own, listed = _largest_weights(run, features, num_references)
        if not bool(probabilities.isfinite().all() and own.isfinite().all()):
            raise InputError(f"{run.folder}: the model's answers are no numbers; it is broken")
        probabilities, shares = probabilities.cpu(), own.tolist()
        for i, file in enumerate(files[part]):
            by_class = dict(zip(run.config.classes, probabilities[i].tolist(), strict=True))
            references = listed[i] if listed else []
            yield Prediction(file, by_class, references, shares[i], images[start + i])


def _fitting(run: Run, batch_size: int) -> int:
    return max(1, min(batch_size, PIXELS // (run.config.height * run.config.width)))


def _decoded(
    run: Run, files: Iterable[Path], ahead: int
) -> Iterator[tuple[Path, Pixels | InputError]]:
    """Each file's pixels, or the reason why it has none; ``ahead`` files are read in advance."""
    size, channels = (run.config.height, run.config.width), run.config.channels

    def read(file: Path) -> tuple[Path, Pixels | InputError]:
        try:
            return file, decode(
                file, size, channels, run.config.resize, run.config.white, run.config.interpolation
            )
        except OutOfMemoryError:  # the image is not bad
            raise
        except InputError as error:
            return file, error

    remaining = iter(files)
    pool = ThreadPoolExecutor(min(THREADS, os.cpu_count() or 1))
    try:
        waiting = deque(pool.submit(read, file) for file in islice(remaining, ahead))
        while waiting:
            done = waiting.popleft().result()
            waiting.extend(pool.submit(read, file) for file in islice(remaining, 1))
            yield done
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _largest_weights(
    run: Run, features: Tensor, count: int
) -> tuple[Tensor, list[list[Reference]]]:
    assert run.references is not None
    references = run.references
    own, weights = references.bank.weights(features)
    total = own + weights.sum(1)
    values, indices = (weights / total.unsqueeze(1)).topk(min(count, weights.size(1)))
    listed = [
        [
            Reference(references.names[i], run.config.classes[int(references.labels[i])], weight, i)
            for weight, i in zip(row_values, row_indices, strict=True)
            if weight > 0
        ]
        for row_values, row_indices in zip(values.tolist(), indices.tolist(), strict=True)
    ]
    return own / total, listed
