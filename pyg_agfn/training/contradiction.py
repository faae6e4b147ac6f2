"""Which labels are contradicted, how strongly one has to be to be taken for wrong, and what is
learned in its place.

Source of the count: the share of true null hypotheses by a tail of their known distribution
(Storey, *A direct approach to false discovery rates*, JRSS B 2002), and the local false discovery
rate (Efron et al., *Empirical Bayes analysis of a microarray experiment*, JASA 2001). The known
distribution is that of wrong labels: every image has some.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

#: Fewest images with an opinion from which wrong labels are counted.
MIN_IMAGES = 30


def contradiction(opinion: Tensor) -> Tensor:
    r"""How strongly each label would be contradicted, :math:`c_{ik} = 1 - o_{ik} / \max_j o_{ij}`.

    Shapes:
        - **input:** distributions :math:`(N, K)`
        - **output:** :math:`(N, K)`, 0 for the likeliest class, 1 at most
    """
    return 1 - opinion / opinion.amax(1, keepdim=True)


def of_labels(contradicted: Tensor, labels: Tensor) -> Tensor:
    """How strongly the labels given are contradicted, (N), of all labels' (N, K)."""
    return contradicted.gather(1, labels.unsqueeze(1)).squeeze(1)


def find_noise_rate(opinion: Tensor, labels: Tensor) -> float | None:
    r"""The share of labels that are likelier wrong than right, by what contradicts them.

    How wrong labels are contradicted is known without knowing which they are: as the classes are
    that the image is not, all but the likeliest one. Let :math:`W(t)` be the share of these, over
    all images, that are contradicted by :math:`t` or more, and :math:`O(t)` that of the labels
    given. Where hardly a right label is contradicted that strongly, the labels given reach
    :math:`t` as often as there are wrong ones among them that do,

    .. math::
        \hat{\rho} = O(t_{1/2}) / W(t_{1/2}), \qquad W(t_{1/2}) = 1/2 .

    Of the labels beyond :math:`t`, :math:`\hat{\rho} W(t)` are wrong then, and the rest are right.
    What is found is :math:`O(t^*)`, where the former are ahead by most: labels contradicted a
    little less than :math:`t^*` are right more often than not,

    .. math::
        t^* = \arg\max_t \; \hat{\rho} W(t) - \big( O(t) - \hat{\rho} W(t) \big) .

    It supposes that a wrong label is any other class, each as often, and that nobody has learned
    the labels by heart: that draws an image to where its wrong label is not contradicted.

    Args:
        opinion (Tensor): Distributions; an image's own label has no part in its opinion.
        labels (Tensor): Labels as given.

    Shapes:
        - **input:** :math:`(M, K)`, :math:`(M)`

    Returns:
        The share, 0 to 1, or None if less than 30 images have an opinion other than that all
        classes are as likely.
    """
    contradicted = contradiction(opinion.double())
    known = contradicted.amax(1) > 0
    contradicted, labels = contradicted[known], labels[known]
    if len(labels) < MIN_IMAGES:
        return None
    likeliest = F.one_hot(contradicted.argmin(1), contradicted.size(1)).bool()
    wrong = contradicted[~likeliest].sort().values
    given = of_labels(contradicted, labels).sort().values

    def share_beyond(values: Tensor, t: Tensor) -> Tensor:
        return 1 - torch.searchsorted(values, t).double() / len(values)

    median = wrong[len(wrong) // 2].unsqueeze(0)
    rate = (share_beyond(given, median) / share_beyond(wrong, median)).clamp(max=1)
    beyond = share_beyond(given, given)
    lead = 2 * rate * share_beyond(wrong, given) - beyond
    return float(beyond[lead.argmax()]) if lead.max() > 0 else 0.0


def threshold_of_share(contradicted: Tensor, share: float) -> Tensor:
    """The contradiction that a share of the labels reaches; infinity for none of them.

    Args:
        contradicted (Tensor): Of each label, 0 to 1; one below 0 is not known.
        share (float): Of the labels known, 0 to 1.

    Shapes:
        - **input:** :math:`(M)`
        - **output:** a scalar, without waiting for the device
    """
    count = ((contradicted >= 0).sum() * share).round().long()
    reached = contradicted.sort(descending=True).values.take((count - 1).clamp(min=0))
    return torch.where(count > 0, reached, math.inf)


def reliability(contradicted: Tensor, wrong: float) -> Tensor:
    r"""The share of the right labels that whoever contradicts finds likeliest.

    Wrong labels are hardly ever those that are found likeliest. So of the shares of the labels that
    are not contradicted, :math:`A`, and of those that are wrong, :math:`\rho`,

    .. math:: r = \min\Big(\frac{A}{1 - \rho}, 1\Big)

    Args:
        contradicted (Tensor): Of each label, 0 to 1; one below 0 is not known.
        wrong (float): Share of labels that are wrong, 0 to 1.

    Shapes:
        - **input:** :math:`(M)`
        - **output:** a scalar, without waiting for the device; 0 where nothing is known
    """
    known = (contradicted >= 0).sum().clamp(min=1)
    agreed = (contradicted == 0).sum() / known
    return (agreed / max(1 - wrong, 1e-9)).clamp(max=1)


def correct_labels(
    labels: Tensor,
    opinion: Tensor,
    at_most: float = 1.0,
    at_least: float | Tensor = 0.0,
    strength: float | Tensor = 1.0,
) -> Tensor:
    r"""Label distributions that are moved towards an opinion, the more it contradicts the label.

    .. math::
        t_i = (1 - r c_i) \, y_i + r c_i \, o_i, \qquad
        c_i = 1 - \frac{o_{i, y_i}}{\max_k o_{ik}}

    A label that the opinion finds likeliest stays as it is. Where opinions are wrong more often
    than labels, most contradictions are mistaken: ``at_most`` and ``at_least`` keep to the
    strongest.

    Args:
        labels (Tensor): Given labels :math:`y`.
        opinion (Tensor): Distributions :math:`o`, rows sum to 1.
        at_most (float): Share of the labels that may be corrected, those of the largest
            :math:`c_i`; the others stay as they are. (default: :obj:`1.0`)
        at_least (float or Tensor): Least :math:`c_i` of a label that is corrected.
            (default: :obj:`0.0`)
        strength (float or Tensor): The factor :math:`r`, 0 to 1. (default: :obj:`1.0`)

    Shapes:
        - **input:** :math:`(N)`, :math:`(N, K)`
        - **output:** :math:`(N, K)`, rows sum to 1
    """
    given = F.one_hot(labels, opinion.size(1)).to(opinion.dtype)
    contradicted = of_labels(contradiction(opinion), labels)
    allowed = torch.zeros_like(contradicted)
    allowed[contradicted.topk(round(at_most * len(labels))).indices] = 1
    allowed = allowed * (contradicted >= at_least)
    return given.lerp(opinion, (strength * allowed * contradicted).unsqueeze(1))
