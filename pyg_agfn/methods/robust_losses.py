"""Losses that wrong labels move less than they move cross-entropy."""

from typing import TYPE_CHECKING

import torch.nn.functional as F
from torch import Tensor

from pyg_agfn.methods.method import Criterion, Method
from pyg_agfn.registry import register_method

if TYPE_CHECKING:
    from pyg_agfn.training.options import TrainOptions


def label_smoothing(logits: Tensor, labels: Tensor, epsilon: float = 0.1) -> Tensor:
    r"""Cross-entropy with targets :math:`(1 - \epsilon)\, y + \epsilon / K`.

    Source: Szegedy et al., *Rethinking the Inception Architecture for Computer Vision*, CVPR 2016,
    Section 7; its :math:`\epsilon` is 0.1.

    A soft label takes the place of the one-hot :math:`y`.

    Shapes:
        - **input:** :math:`(N, K)` logits, :math:`(N)` labels or :math:`(N, K)` distributions
        - **output:** scalar
    """
    return F.cross_entropy(logits, labels, label_smoothing=epsilon)


def generalized_cross_entropy(logits: Tensor, labels: Tensor, q: float = 0.7) -> Tensor:
    r"""Mean of :math:`(1 - p_y^q) / q`, between cross-entropy (q → 0) and absolute error (q = 1).

    Source: Zhang and Sabuncu, *Generalized Cross Entropy Loss for Training Deep Neural Networks
    with Noisy Labels*, NeurIPS 2018, Eq. 6; its q is 0.7. Its truncated form, which drops samples
    from epoch 40 on, is not used. Of a soft label :math:`t` it is the mean over the labels that
    raters gave, :math:`\sum_k t_k (1 - p_k^q) / q`.

    Shapes:
        - **input:** :math:`(N, K)` logits, :math:`(N)` labels or :math:`(N, K)` distributions
        - **output:** scalar, 0 to 1 / q
    """
    # Through the logarithm: the gradient of p^q at p = 0 is infinite, that of exp(q log p) is not.
    if labels.is_floating_point():
        losses = (1 - (q * logits.log_softmax(1)).exp()) / q
        return (labels * losses).sum(1).mean()
    log_p = -F.cross_entropy(logits, labels, reduction="none")
    return ((1 - (q * log_p).exp()) / q).mean()


class _OwnLoss(Method):
    """The baseline with another loss, whatever the options say."""

    own_loss = True
    learns_soft_labels = True

    @classmethod
    def from_options(cls, options: "TrainOptions", criterion: Criterion) -> Method:
        return cls()


@register_method("label-smoothing")
class LabelSmoothing(_OwnLoss):
    """The baseline with :func:`label_smoothing`."""

    summary = "the network alone, trained on softened labels"
    color = "#F0E442"
    linestyle = "-."

    def __init__(self, criterion: Criterion = label_smoothing) -> None:
        super().__init__(criterion)


@register_method("gce")
class GeneralizedCrossEntropy(_OwnLoss):
    """The baseline with :func:`generalized_cross_entropy`."""

    summary = "the network alone, with a loss that unlikely labels move less"
    color = "#000000"
    linestyle = ":"

    def __init__(self, criterion: Criterion = generalized_cross_entropy) -> None:
        super().__init__(criterion)
