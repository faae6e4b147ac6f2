"""How many labels are wrong, without knowing which.

Source: the share of true null hypotheses by a tail of their known distribution (Storey, *A direct
approach to false discovery rates*, JRSS B 2002), and the local false discovery rate (Efron et al.,
*Empirical Bayes analysis of a microarray experiment*, JASA 2001). The known distribution is that of
wrong labels: every image has some.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from pyg_agfn.methods.neighbor_correction.targets import disagreement

#: Fewest images with a posterior from which wrong labels are counted.
MIN_IMAGES = 30


def estimate_issue_rate(posterior: Tensor, labels: Tensor) -> float | None:
    r"""The share of labels that are likelier wrong than right, by their disagreement.

    How strongly wrong labels disagree is known without knowing which they are: as the classes do
    that the image is not, all but the likeliest one. Let :math:`W(t)` be the share of these, over
    all images, that disagree by :math:`t` or more, and :math:`O(t)` that of the given labels. Where
    hardly a right label disagrees that strongly, the given labels reach :math:`t` as often as there
    are wrong ones among them that do,

    .. math::
        \hat{\rho} = O(t_{1/2}) / W(t_{1/2}), \qquad W(t_{1/2}) = 1/2 .

    Of the labels beyond :math:`t`, :math:`\hat{\rho} W(t)` are wrong then, and the rest are right.
    What is returned is :math:`O(t^*)`, where the former are ahead by most: labels that disagree a
    little less than :math:`t^*` are right more often than not,

    .. math::
        t^* = \arg\max_t \; \hat{\rho} W(t) - \big( O(t) - \hat{\rho} W(t) \big) .

    It supposes that a wrong label is any other class, each as often, and that the labels are not
    memorized: memorizing draws an image to where its wrong label does not disagree.

    Args:
        posterior (Tensor): Distributions; an image's own label has no part in its posterior.
        labels (Tensor): Labels as given.

    Shapes:
        - **input:** :math:`(M, K)`, :math:`(M)`

    Returns:
        The share, 0 to 1, or None if less than 30 images have a posterior other than that all
        classes are as likely.
    """
    found = _disagreements(posterior, labels)
    if found is None:
        return None
    wrong, given = found
    rate = _rate(wrong, given)
    beyond = _share_beyond(given, given)
    lead = 2 * rate * _share_beyond(wrong, given) - beyond
    return float(beyond[lead.argmax()]) if lead.max() > 0 else 0.0


def estimate_wrong_share(posterior: Tensor, labels: Tensor) -> float | None:
    r"""The share of labels that are wrong, :math:`\hat{\rho}` of :func:`estimate_issue_rate`.

    Shapes:
        - **input:** :math:`(M, K)`, :math:`(M)`

    Returns:
        The share, 0 to 1, or None if less than 30 images have a posterior other than that all
        classes are as likely.
    """
    found = _disagreements(posterior, labels)
    return None if found is None else float(_rate(*found))


def _disagreements(posterior: Tensor, labels: Tensor) -> tuple[Tensor, Tensor] | None:
    """How strongly wrong labels disagree, and the given ones, each sorted; None of too few."""
    scores = disagreement(posterior.double())
    known = scores.amax(1) > 0
    scores, labels = scores[known], labels[known]
    if len(labels) < MIN_IMAGES:
        return None
    likeliest = F.one_hot(scores.argmin(1), scores.size(1)).bool()
    wrong = scores[~likeliest].sort().values
    given = scores.gather(1, labels.unsqueeze(1)).flatten().sort().values
    return wrong, given


def _rate(wrong: Tensor, given: Tensor) -> Tensor:
    median = wrong[len(wrong) // 2].unsqueeze(0)
    return (_share_beyond(given, median) / _share_beyond(wrong, median)).clamp(max=1)


def _share_beyond(values: Tensor, t: Tensor) -> Tensor:
    return 1 - torch.searchsorted(values, t).double() / len(values)
