"""Predictions for image files, each with the training images that shaped it."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pyg_agfn.datasets.batches import to_float
from pyg_agfn.datasets.image_cache import decode
from pyg_agfn.datasets.image_folder import ENDINGS
from pyg_agfn.errors import InputError, as_path
from pyg_agfn.nn import AGFNClassifier
from pyg_agfn.run_folder import Run

#: Pixels of the images that are classified at once: memory does not grow with their size.
PIXELS = 1 << 20


@dataclass(frozen=True)
class Reference:
    """A training image that shaped an answer.

    Attributes:
        name: What it is called in the data set.
        label: Its class, as training saw it.
        weight: Its share of the answer; those of all references and of the image itself add to 1.
        index: Its place in the run's bank.
    """

    name: str
    label: str
    weight: float
    index: int


@dataclass(frozen=True)
class Prediction:
    """What a model says of one image.

    Attributes:
        file: The image.
        probabilities: By class, in the model's order; they add to 1.
        references: The training images of the largest weights, largest first; none for a model
            without a graph.
        own_weight: The image's own share of the answer.
        image: What the model saw, uint8 (C, H, W).
    """

    file: Path
    probabilities: dict[str, float]
    references: list[Reference]
    own_weight: float
    image: Tensor

    @property
    def top_two(self) -> list[tuple[str, float]]:
        """The two likeliest classes with their probabilities, likeliest first."""
        return sorted(self.probabilities.items(), key=lambda item: -item[1])[:2]

    @property
    def margin(self) -> float:
        """How far the likeliest class is ahead of the next."""
        (_, first), (_, second) = self.top_two
        return first - second

    def as_json(self) -> dict[str, object]:
        """What ``predict.py --format json`` prints of it."""
        return {
            "file": str(self.file),
            "probabilities": self.probabilities,
            "top": [{"class": name, "probability": p} for name, p in self.top_two],
            "margin": self.margin,
            "own_weight": self.own_weight,
            "references": [
                {"name": r.name, "label": r.label, "weight": r.weight} for r in self.references
            ],
        }


def find_images(paths: Iterable[Path]) -> list[Path]:
    """The files as given, and all images in the folders among them, in the order of their names.

    Raises:
        InputError: A path does not exist, or a folder has no image.
    """
    files: list[Path] = []
    for path in [paths] if isinstance(paths, str | os.PathLike) else paths:
        path = as_path(path, "path")
        if os.path.isdir(path):  # unlike Path's own, no error for a name that is too long
            found = sorted(f for f in path.rglob("*") if f.suffix.lower() in ENDINGS)
            if not found:
                raise InputError(f"{path}: has no image ({' '.join(ENDINGS)})")
            files += found
        elif os.path.exists(path):
            files.append(path)
        else:
            raise InputError(f"{path}: there is no such file or folder")
    return files


def read_images(run: Run, files: Sequence[Path]) -> tuple[list[Path], Tensor, list[str]]:
    """Images of any size and mode, brought to what the model was trained on.

    Returns:
        The files that could be read, their images as uint8 (n, C, H, W), and a line for each file
        that could not.
    """
    size = (run.card.height, run.card.width)
    readable, images, broken = [], [], []
    for file in files:
        file = as_path(file, "file")
        try:
            images.append(decode(file, size, run.card.channels))
            readable.append(file)
        except InputError as error:
            broken.append(str(error))
    shape = (0, run.card.channels, *size)
    return readable, torch.from_numpy(np.stack(images) if images else np.empty(shape)), broken


@torch.no_grad()
def predict(
    run: Run, files: Sequence[Path], images: Tensor, num_references: int = 5, batch_size: int = 256
) -> list[Prediction]:
    """Classifies each image by itself, with the run's bank where its model has a graph.

    Args:
        run: A run read back.
        files: What the images are called.
        images: uint8, (n, C, H, W), of the model's size.
        num_references: References listed for each image.
        batch_size: Images at once, at most; fewer large ones. It changes no answer.

    Raises:
        InputError: An answer is no number, as weights that are out of all proportion give it.
    """
    batch_size = max(1, min(batch_size, PIXELS // (run.card.height * run.card.width)))
    predictions = []
    listed: list[list[Reference]]
    for start in range(0, len(files), batch_size):
        part = slice(start, start + batch_size)
        features = run.model.features(to_float(images[part]))
        if run.references is None or not isinstance(run.model, AGFNClassifier):
            probabilities = run.model.head(features).softmax(1)
            own, listed = torch.ones(len(features)), []
        else:
            bank = run.references.bank
            probabilities = run.model.classifier(bank(features)).softmax(1)
            own, listed = _largest_weights(run, features, num_references)
        if not bool(probabilities.isfinite().all() and own.isfinite().all()):
            raise InputError(f"{run.folder}: the model's answers are no numbers; it is broken")
        for i, file in enumerate(files[part]):
            by_class = dict(zip(run.card.classes, probabilities[i].tolist(), strict=True))
            references = listed[i] if listed else []
            image = images[start + i]
            predictions.append(Prediction(file, by_class, references, float(own[i]), image))
    return predictions


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
            Reference(references.names[i], run.card.classes[int(references.labels[i])], weight, i)
            for weight, i in zip(row_values, row_indices, strict=True)
            if weight > 0
        ]
        for row_values, row_indices in zip(values.tolist(), indices.tolist(), strict=True)
    ]
    return own / total, listed
