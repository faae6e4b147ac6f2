"""Predictions for image files, each with the training images that contributed to it."""

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

from pyg_agfn.datasets.augmentation import to_float
from pyg_agfn.datasets.image_file import decode
from pyg_agfn.datasets.image_pixels import Pixels
from pyg_agfn.errors import InputError
from pyg_agfn.image_predictions import Prediction as Prediction
from pyg_agfn.image_predictions import Reference as Reference
from pyg_agfn.image_predictions import find_images as find_images
from pyg_agfn.image_predictions import fitting_batch_size, read_in_batches
from pyg_agfn.nn import AGFNClassifier
from pyg_agfn.runs.folder import Run


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
    config = run.config
    size = (config.height, config.width)

    def read(file: Path) -> Pixels:
        return decode(
            file, size, config.channels, config.resize, config.white, config.interpolation
        )

    for named, images in read_in_batches(files, read, _fitting(run, batch_size), report):
        yield from classify(run, named, torch.from_numpy(images), num_references)


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
    return fitting_batch_size(batch_size, run.config.height, run.config.width)


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
