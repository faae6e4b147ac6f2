"""A part of the training images that is set aside, and what is measured after each epoch."""

from dataclasses import dataclass

import torch
from lightning.fabric import Fabric
from torch import Tensor

from pyg_agfn.errors import InputError
from pyg_agfn.evaluation import Protocol, Shuffled, Single, evaluate, extract_features
from pyg_agfn.generators import generator_for
from pyg_agfn.training.checkpoint import Epoch, TrainingState
from pyg_agfn.training.data import TrainingData
from pyg_agfn.training.options import TrainOptions


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
        found = {"test_accuracy": self._accuracy(state, self.test)}
        if self.validation is not None:
            found["val_accuracy"] = self._accuracy(state, self.validation)
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

    def _accuracy(self, state: TrainingState, data: TrainingData | None) -> float | None:
        return None if data is None else accuracy_on(self.fabric, self.options, state, data)


def accuracy_on(
    fabric: Fabric, options: TrainOptions, state: TrainingState, data: TrainingData
) -> float:
    """Accuracy on images, in one shuffle of them; before the graph, of each alone."""
    model = state.inference_model()
    batches = data.batches(
        batch_size=options.batch_size, device=fabric.device, workers=options.workers
    )
    features = extract_features(model, batches, fabric.autocast())
    joined = state.method.uses_graph(state.epoch)
    protocol: Protocol = Shuffled(options.batch_size, 1, options.seed) if joined else Single()
    return evaluate(protocol, model, features, data.labels).mean
