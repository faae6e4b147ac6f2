"""What a training step minimizes."""

from collections.abc import Callable

import torch
from torch import Tensor

from pyg_agfn.nn import AGFNClassifier, BaselineClassifier


def full_precision(x: Tensor) -> Tensor:
    """At least ``float32``, in which a loss is computed whatever the model's precision."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


class Objective:
    r"""A loss of the model's logits: that of the baseline and of the graph methods.

    Rivals that see more than logits and labels, or that keep something from step to step, are
    subclasses.

    Args:
        criterion: Loss of logits :math:`(N, K)` and labels :math:`(N)`, a scalar.
    """

    #: Whether a batch brings 2N images: N, and behind them each one's mirrored view.
    mirrored = False
    #: What the graph's own parameters minimize, where that is something else than the loss; set by
    #: a call for its step.
    graph_loss: Tensor | None = None
    #: Whether it needs more than the features, so that a step cannot ask it twice.
    one_pass = False
    #: Whether a graph method's samples see each other; set before an epoch.
    use_graph = True

    def __init__(self, criterion: Callable[[Tensor, Tensor], Tensor]) -> None:
        self.criterion = criterion

    def begin(self, model: BaselineClassifier, num_images: int) -> None:
        """Called once before the first step, with the model on its device.

        What is kept from step to step gets its type and shape here, so that a checkpoint is known
        to be of this run before it is read.
        """

    def __call__(
        self, model: BaselineClassifier, images: Tensor, labels: Tensor, index: Tensor, epoch: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        r"""Loss, logits and targets of a mini-batch.

        Args:
            model: In training mode.
            images: :math:`(N, C, H, W)`.
            labels: As given, :math:`(N)`.
            index: Which training images these are, :math:`(N)`.
            epoch: From 1.

        With S draws of a graph there are S logits and targets to an image, draw after draw.
        """
        return self.of_features(model, model.features(images), labels)

    def of_features(
        self, model: BaselineClassifier, x: Tensor, labels: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        r"""The same from what the backbone yields, :math:`(N, F)`."""
        if isinstance(model, AGFNClassifier):
            logits = full_precision(model.head(x, self.use_graph))
        else:
            logits = full_precision(model.head(x))
        targets = labels.repeat(len(logits) // len(labels))
        return self.criterion(logits, targets), logits, targets  # the mean over images and draws

    def trained(self, model: BaselineClassifier) -> BaselineClassifier:
        """What is measured and kept: the model, or what was made of it on the way."""
        return model

    def findings(self) -> dict[str, float | None]:
        """What it has found out about the data so far, by name; None for not yet."""
        return {}

    def state_dict(self) -> dict[str, Tensor]:
        """What it keeps from step to step."""
        return {}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Takes back what :meth:`state_dict` gave.

        Raises:
            ValueError: A value that it cannot have given.
        """
