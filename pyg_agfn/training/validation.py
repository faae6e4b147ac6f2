"""A part of the training images that is set aside, and what is measured after each epoch."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from lightning.fabric import Fabric
from torch import Tensor

from pyg_agfn.errors import InputError
from pyg_agfn.evaluation import (
    Shuffled,
    Single,
    evaluate,
    extract_features,
    mean_class_accuracy,
)
from pyg_agfn.generators import generator_for
from pyg_agfn.training.checkpoint import Epoch, TrainingState
from pyg_agfn.training.data import TrainingData
from pyg_agfn.training.options import TrainOptions

#: What an epoch measures of each test image alone: accuracy, and the mean over the classes.
SINGLE = ("single_accuracy", "single_class_accuracy")
#: Epochs at the end of a run over which published tables take the mean.
LAST = 5


def split_rows(labels: Tensor, fraction: float, seed: int) -> tuple[Tensor, Tensor]:
    """The images that are trained on, and those of a stratified part that is set aside, in order.

    Args:
        labels: Of the training images, as they are given.
        fraction: Share of the images of each class that is set aside.
        seed: Of the draw.

    Raises:
        InputError: The share is so small that no image is set aside, or each class has one image.
    """
    chosen = stratified_sample(labels, fraction, seed)
    if not chosen.any():
        raise InputError(
            f"--val-fraction {fraction} sets no image aside of {len(labels):,} training images in "
            f"{len(labels.unique())} classes, of which each keeps one: give a larger share"
        )
    return (~chosen).nonzero().flatten(), chosen.nonzero().flatten()


def stratified_sample(labels: Tensor, fraction: float, seed: int) -> Tensor:
    r"""Draws a share of the images of each class, as a boolean :math:`(N)`.

    Of a class with :math:`n` images :math:`f n` are drawn, rounded so that there are
    :math:`\operatorname{round}(f N)` in all: the classes with the largest fractions are rounded up.
    One image of each class is never drawn.
    """
    counts = torch.bincount(labels)
    shares = counts.double() * fraction
    numbers = shares.floor().long()
    left = round(float(shares.sum())) - int(numbers.sum())
    rounded_up = (shares - numbers).argsort(descending=True, stable=True)[: max(0, left)]
    numbers[rounded_up] += 1
    numbers = numbers.minimum((counts - 1).clamp(min=0))
    order = torch.randperm(len(labels), generator=generator_for("validation", seed))
    chosen = torch.zeros(len(labels), dtype=torch.bool)
    for label, number in enumerate(numbers.tolist()):
        of_class = order[labels[order] == label]
        chosen[of_class[:number]] = True
    return chosen


class Accuracies(NamedTuple):
    """What a model is worth on images, 0 to 1.

    Attributes:
        accuracy: In one shuffle of them, if the epoch joins images; else of each alone.
        single: Of each image alone.
        single_classes: The mean of the classes' own accuracies, of each image alone.
    """

    accuracy: float
    single: float
    single_classes: float


@dataclass(frozen=True)
class EpochMeasures:
    """What is measured after each epoch, and which epoch is kept.

    Attributes:
        fabric: Device and precision.
        options: Of the run.
        test: Images to measure on; None: there are none.
        validation: The part that is set aside of the training images, which chooses the best epoch;
            None: the test images do, which are validation images then.
        keep_best: Keep the weights of the best epoch.
    """

    fabric: Fabric
    options: TrainOptions
    test: TrainingData | None
    validation: TrainingData | None
    keep_best: bool

    def measure(self, state: TrainingState) -> dict[str, float | None]:
        """The accuracies after an epoch, whose weights the state keeps if it is the best so far."""
        found: dict[str, float | None] = {"test_accuracy": None}
        if self.test is not None:
            measured = self._accuracies(state, self.test)
            found["test_accuracy"] = measured.accuracy
            # A run of an older version is resumed with the figures that its history has.
            if not state.history or SINGLE[0] in state.history[0]:
                found |= dict(zip(SINGLE, (measured.single, measured.single_classes), strict=True))
        if self.validation is not None:
            found["val_accuracy"] = self._accuracies(state, self.validation).accuracy
        accuracy = found[self._chosen_by]
        if self.keep_best and accuracy is not None:
            earlier = [epoch[self._chosen_by] for epoch in state.history]
            if accuracy > max(earlier, default=-1.0):
                weights = state.inference_model().state_dict()
                state.best = {name: tensor.clone() for name, tensor in weights.items()}
        return found

    def best_epoch(self, history: list[Epoch]) -> int:
        """The epoch of the highest accuracy, from 1; the first of several."""
        accuracies = [epoch[self._chosen_by] for epoch in history]
        return accuracies.index(max(accuracies)) + 1

    @property
    def _chosen_by(self) -> str:
        return "test_accuracy" if self.validation is None else "val_accuracy"

    def _accuracies(self, state: TrainingState, data: TrainingData) -> Accuracies:
        return accuracies_on(self.fabric, self.options, state, data)


def accuracies_on(
    fabric: Fabric, options: TrainOptions, state: TrainingState, data: TrainingData
) -> Accuracies:
    """Accuracies on images after an epoch."""
    model = state.inference_model()
    batches = data.batches(
        batch_size=options.batch_size, device=fabric.device, workers=options.workers
    )
    features = extract_features(model, batches, fabric.autocast())
    alone = evaluate(Single(), model, features, data.labels)
    accuracy = alone.mean
    if state.method.uses_graph(state.epoch):
        shuffled = Shuffled(options.batch_size, 1, options.seed)
        accuracy = evaluate(shuffled, model, features, data.labels, False).mean
    return Accuracies(accuracy, alone.mean, mean_class_accuracy(alone.logits, data.labels))


def last_epochs(history: list[Epoch]) -> dict[str, Any]:
    """What a run's metrics have of its epochs on the test images, each of which is alone.

    Returns:
        ``last_epochs`` with the figures of the last five, and ``best_on_test`` with the highest
        accuracy of any epoch, which has looked at the test images to choose; nothing without test
        images.
    """
    if not history or any(name not in history[0] for name in SINGLE):
        return {}
    return {
        "last_epochs": {name: [epoch[name] for epoch in history[-LAST:]] for name in SINGLE},
        "best_on_test": max(epoch[SINGLE[0]] for epoch in history),
    }
