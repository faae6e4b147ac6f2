"""How likely given labels are wrong, by a model's probabilities.

Source: ranking by the probability of the given label (self-confidence), Northcutt, Jiang, Chuang,
*Confident Learning: Estimating Uncertainty in Dataset Labels*, JAIR 2021, Section 3.
"""

import torch
from torch import Tensor

from pyg_agfn.errors import InputError

#: How far the sum of a row of probabilities may be from 1: half precision is.
TOLERANCE = 0.01


def label_issue_scores(probabilities: Tensor, labels: Tensor) -> Tensor:
    r"""The probability that a given label is wrong, :math:`1 - p_{i, y_i}`.

    Args:
        probabilities (Tensor): Of the classes, by a model; rows sum to 1.
        labels (Tensor): Labels as given, 0 to K - 1.

    Shapes:
        - **input:** :math:`(N, K)`, :math:`(N)`
        - **output:** :math:`(N)`, 0 to 1

    Raises:
        InputError: Probabilities or labels that are none, or do not fit each other.
    """
    _check_probabilities(probabilities)
    check_labels(labels, *probabilities.shape)
    given = probabilities.gather(1, labels.to(probabilities.device, torch.long).unsqueeze(1))
    return (1 - given.squeeze(1)).clamp(0, 1)


def check_labels(labels: Tensor, count: int, num_classes: int) -> None:
    """Refuses what is not one label, 0 to K - 1, for each image.

    Raises:
        InputError: It is something else; the line names the image.
    """
    if not isinstance(labels, Tensor):
        raise InputError(f"labels must be a tensor, got {type(labels).__name__}")
    if labels.shape != (count,) or labels.is_floating_point() or labels.is_complex():
        found = f"{labels.dtype} of shape {tuple(labels.shape)}"
        raise InputError(f"labels must be integers of shape ({count},), got {found}")
    wrong = (labels < 0) | (labels >= num_classes)
    if wrong.any():
        row = int(wrong.int().argmax())
        raise InputError(
            f"labels must be 0 to {num_classes - 1}, got {int(labels[row])} of image {row}"
        )


def _check_probabilities(probabilities: Tensor) -> None:
    if not isinstance(probabilities, Tensor):
        raise InputError(f"probabilities must be a tensor, got {type(probabilities).__name__}")
    shape = tuple(probabilities.shape)
    if len(shape) != 2 or shape[1] < 2 or not probabilities.is_floating_point():
        found = f"{probabilities.dtype} of shape {shape}"
        raise InputError(f"probabilities must be floats of shape (N, K), K at least 2, got {found}")
    sums = probabilities.detach().sum(1, dtype=torch.float64)
    good = ((probabilities >= 0) & (probabilities <= 1 + TOLERANCE)).all(1)
    good &= (sums - 1).abs() <= TOLERANCE
    if not good.all():
        row = int((~good).int().argmax())
        raise InputError(
            f"probabilities of an image must be 0 to 1 and sum to 1, those of image {row} do not; "
            "logits become probabilities by softmax(1)"
        )
