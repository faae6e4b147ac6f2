"""Losses in which each class weighs as much as any other, however many images it has."""

import torch
import torch.nn.functional as F
from torch import Tensor

from pyg_agfn.methods.method import Criterion
from pyg_agfn.training.data import TrainingData
from pyg_agfn.training.losses import LOSSES
from pyg_agfn.training.options import TrainOptions


def make_criterion(options: TrainOptions, train: TrainingData | None) -> Criterion:
    """The loss of the options; with ``--balance loss`` weighed by the training images' classes."""
    if options.balance != "loss" or train is None:
        return LOSSES[options.loss]
    return weigh_classes(options.loss, class_weights(train.labels, train.num_classes))


def class_weights(labels: Tensor, num_classes: int) -> Tensor:
    r"""Weights :math:`N / (K n_c)` of classes with :math:`n_c` of :math:`N` labels, :math:`(K)`.

    :math:`K` counts the classes that have a label; one without has weight 0. The mean weight of the
    labels is 1.
    """
    counts = torch.bincount(labels, minlength=num_classes)
    present = counts > 0
    weights = len(labels) / (present.sum() * counts.clamp(min=1))
    return torch.where(present, weights, 0.0)


def weigh_classes(loss: str, weights: Tensor) -> Criterion:
    r"""A loss of :data:`pyg_agfn.training.losses.LOSSES` with weights of the classes.

    The loss of an image is multiplied by the weight of its class, and the mean over the batch is
    taken. With a distribution :math:`t` in the place of a label, class :math:`c` has the share
    :math:`t_c` in it: cross-entropy is :math:`-\sum_c w_c t_c \log p_c`, and the squared error is
    multiplied by :math:`\sum_c w_c t_c`.

    Args:
        loss: Name of the loss.
        weights: Of the classes, :math:`(K)`.

    Shapes:
        - **input:** :math:`(N, K)` logits, :math:`(N)` labels or :math:`(N, K)` distributions
        - **output:** scalar
    """

    def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
        w = weights.to(logits)
        return F.cross_entropy(logits, labels, weight=w, reduction="sum") / len(logits)

    def squared_error(logits: Tensor, labels: Tensor) -> Tensor:
        target = labels if labels.is_floating_point() else F.one_hot(labels, logits.size(-1))
        target = target.to(logits.dtype)
        error = (logits.softmax(-1) - target).square().sum(-1)
        return (error * (target @ weights.to(logits))).mean()

    return {"cross-entropy": cross_entropy, "squared-error": squared_error}[loss]
