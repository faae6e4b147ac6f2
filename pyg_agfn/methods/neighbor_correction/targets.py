"""How strongly a label disagrees with a posterior, and what is learned in its place.

Source: soft correction of labels, Reed et al., *Training deep neural networks on noisy labels with
bootstrapping*, ICLR workshop 2015.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def disagreement(posterior: Tensor) -> Tensor:
    r"""How strongly each class disagrees, :math:`c_{ik} = 1 - q_{ik} / \max_j q_{ij}`.

    Shapes:
        - **input:** distributions :math:`(N, K)`
        - **output:** :math:`(N, K)`, 0 for the likeliest class, 1 at most
    """
    return 1 - posterior / posterior.amax(1, keepdim=True)


def label_disagreement(posterior: Tensor, labels: Tensor) -> Tensor:
    r"""How strongly the given labels disagree with a posterior.

    Shapes:
        - **input:** :math:`(N, K)`, :math:`(N)`
        - **output:** :math:`(N)`, 0 to 1
    """
    return disagreement(posterior).gather(1, labels.unsqueeze(1)).squeeze(1)


def threshold_of_share(scores: Tensor, share: float | Tensor) -> Tensor:
    """The disagreement that a share of the labels reaches; infinity for none of them.

    Args:
        scores (Tensor): Of each label, 0 to 1; one below 0 is not known.
        share (float or Tensor): Of the labels known, 0 to 1.

    Shapes:
        - **input:** :math:`(M)`
        - **output:** a scalar, without waiting for the device
    """
    count = ((scores >= 0).sum() * share).round().long()
    reached = scores.sort(descending=True).values.take((count - 1).clamp(min=0))
    return torch.where(count > 0, reached, math.inf)


def posterior_reliability(scores: Tensor, wrong: float | Tensor) -> Tensor:
    r"""The share of the right labels that a posterior finds likeliest.

    Wrong labels are hardly ever those that are found likeliest. So of the share of the labels that
    do not disagree, :math:`A`, and of those that are wrong, :math:`\rho`,

    .. math:: r = \min\Big(\frac{A}{1 - \rho}, 1\Big)

    Args:
        scores (Tensor): Disagreement of each label, 0 to 1; one below 0 is not known.
        wrong (float or Tensor): Share of labels that are wrong, 0 to 1.

    Shapes:
        - **input:** :math:`(M)`
        - **output:** a scalar, without waiting for the device; 0 where nothing is known
    """
    known = (scores >= 0).sum().clamp(min=1)
    agreed = (scores == 0).sum() / known
    return (agreed / torch.as_tensor(1 - wrong).clamp(min=1e-9)).clamp(max=1)


def given_distribution(labels: Tensor, num_classes: int, soft_labels: Tensor | None) -> Tensor:
    r"""The soft labels, or where there are none the labels as one-hot vectors, :math:`(N, K)`."""
    return F.one_hot(labels, num_classes) if soft_labels is None else soft_labels


def correct_labels(
    labels: Tensor,
    posterior: Tensor,
    max_share: float = 1.0,
    threshold: float | Tensor = 0.0,
    strength: float | Tensor = 1.0,
    soft_labels: Tensor | None = None,
) -> Tensor:
    r"""Labels moved towards a posterior, the more they disagree with it.

    .. math::
        t_i = (1 - r c_i) \, y_i + r c_i \, q_i, \qquad
        c_i = 1 - \frac{q_{i, y_i}}{\max_k q_{ik}}

    A label that the posterior finds likeliest stays as it is. Where posteriors are wrong more often
    than labels, most disagreements are mistaken: ``max_share`` and ``threshold`` keep to the
    strongest.

    Args:
        labels (Tensor): Given labels :math:`y`.
        posterior (Tensor): Distributions :math:`q`, rows sum to 1.
        max_share (float): Share of the labels that may be corrected, those of the largest
            :math:`c_i`; the others stay as they are. (default: :obj:`1.0`)
        threshold (float or Tensor): Least :math:`c_i` of a label that is corrected.
            (default: :obj:`0.0`)
        strength (float or Tensor): The factor :math:`r`, 0 to 1. (default: :obj:`1.0`)
        soft_labels (Tensor, optional): Distributions in the place of the one-hot :math:`y_i`, such
            as those of raters. :math:`c_i` is that of the label. (default: :obj:`None`)

    Shapes:
        - **input:** :math:`(N)`, :math:`(N, K)`, soft labels :math:`(N, K)` *(optional)*
        - **output:** :math:`(N, K)`, rows sum to 1
    """
    given = given_distribution(labels, posterior.size(1), soft_labels).to(posterior.dtype)
    scores = label_disagreement(posterior, labels)
    allowed = (scores >= threshold).to(scores.dtype)
    count = round(max_share * len(labels))
    if count < len(labels):  # else they need not be sorted
        strongest = torch.zeros_like(scores)
        allowed = allowed * strongest.index_fill_(0, scores.topk(count).indices, 1.0)
    return given.lerp(posterior, (strength * allowed * scores).unsqueeze(1).to(given.dtype))
