"""How many labels are wrong: an estimate, and between which shares the true one is.

Sources: the bootstrap (Efron and Tibshirani, *An Introduction to the Bootstrap*, 1993, Chapter 13);
estimates by the disagreement of wrong labels
(:mod:`pyg_agfn.methods.neighbor_correction.issue_rate`) and by the confident joint (Northcutt,
Jiang, Chuang, *Confident Learning*, JAIR 2021, Section 3).
"""

from collections.abc import Callable

import torch
from torch import Tensor

from pyg_agfn.errors import InputError
from pyg_agfn.methods.neighbor_correction.issue_rate import (
    MIN_IMAGES,
    estimate_issue_rate,
    estimate_wrong_share,
)

#: Samples that are drawn from the images.
DRAWS = 100
#: Most entries of a posterior that a sample has: of more images it is of fewer of them.
MOST_ENTRIES = 100_000
#: Of the values of all samples, these shares enclose 95%.
ENDS = torch.tensor([0.025, 0.975], dtype=torch.double)
#: Share of the wrong labels that a model which has seen them may have memorized.
MEMORIZED = 0.1
Estimate = Callable[[Tensor, Tensor], float | None]


def confident_joint_rate(posterior: Tensor, labels: Tensor) -> float:
    r"""The share of wrong labels by the confident joint of given and suggested labels.

    An image counts for the likeliest class :math:`k` among those of which it is as sure as the
    images that are labelled so are on average, :math:`q_{ik} \geq t_k`. Counts of each given label
    are scaled to how often it is given. Noise may depend on the class.

    Shapes:
        - **input:** distributions :math:`(M, K)`, labels :math:`(M)`

    Returns:
        The share, 0 to 1.
    """
    num_classes = posterior.size(1)
    given = torch.bincount(labels, minlength=num_classes).double()
    suggested = _confident_class(posterior, labels)
    counted = suggested >= 0
    right = suggested == labels
    by_class = [torch.bincount(labels[x], minlength=num_classes) for x in (right, counted)]
    # A class of which no image counts is taken to be right.
    share = torch.where(by_class[1] > 0, by_class[0] / by_class[1].clamp(min=1), 1.0)
    return float(1 - (share * given).sum() / given.sum())


def confident_issue_rate(probabilities: Tensor, labels: Tensor) -> float:
    r"""The share of labels off the diagonal of the confident joint, which another class beats.

    As :func:`confident_joint_rate`, of all images and not scaled: an image of which the model is
    sure of no class counts as right. It is nearer to the truth for a model's probabilities, on
    random, pair-flip and human noise (``docs/label_issues.md``).

    Shapes:
        - **input:** distributions :math:`(M, K)`, labels :math:`(M)`

    Returns:
        The share, 0 to 1.
    """
    suggested = _confident_class(probabilities, labels)
    beaten = probabilities.argmax(1) != labels
    return float(((suggested >= 0) & (suggested != labels) & beaten).double().mean())


def _confident_class(posterior: Tensor, labels: Tensor) -> Tensor:
    """The likeliest class of those that an image is confidently of, (M); -1 for none."""
    given = torch.bincount(labels, minlength=posterior.size(1)).double()
    own = posterior.gather(1, labels.unsqueeze(1)).squeeze(1).double()
    total = torch.zeros_like(given).index_add_(0, labels, own)
    confident = posterior >= (total / given.clamp(min=1)).where(given > 0, 2.0)
    suggested = posterior.masked_fill(~confident, -1).argmax(1)
    return suggested.where(confident.any(1), -1)


#: Estimates by neighbours, who suppose different things of wrong labels, and by a model. Wrong
#: labels that a model has memorized in part do not disagree as strongly as the first two suppose.
BY_NEIGHBORS: tuple[Estimate, ...] = (
    estimate_issue_rate,
    estimate_wrong_share,
    confident_joint_rate,
)
BY_MODEL: tuple[Estimate, ...] = (confident_joint_rate,)


def share_and_interval(
    labels: Tensor,
    posterior: Tensor | None = None,
    probabilities: Tensor | None = None,
    share: float | None = None,
    seed: int = 0,
) -> tuple[float, tuple[float, float]]:
    r"""The share of wrong labels, and the interval that it is in by 95%.

    The share is that of :func:`confident_issue_rate` for a model's probabilities. Without these it
    is estimated in several ways by the neighbours, and their median is taken. Images are then drawn
    with replacement, again and again, and each sample is estimated in all ways. The spread of an
    estimate's values is its error of sampling. What the estimates differ by is the error of what
    they suppose of wrong labels: where one supposes too much, another one does not. So the interval
    reaches from the lowest end of all to the highest. The latter is divided by
    :math:`1 - 0.1`, as a model that has seen a label may have memorized it, and then no estimate
    finds it.

    Args:
        labels (Tensor): Labels as given.
        posterior (Tensor, optional): The neighbours' distributions; an image's own label has no
            part in its posterior.
        probabilities (Tensor, optional): A model's, taken for the neighbours' without these.
        share (float, optional): The share, where it is known.
        seed (int): Of the samples. (default: :obj:`0`)

    Shapes:
        - **input:** :math:`(N)`, :math:`(N, K)`, :math:`(N, K)`

    Raises:
        InputError: There are too few images to tell, and no share is given.
    """
    sources = [(posterior, BY_NEIGHBORS), (probabilities, BY_MODEL)]
    if posterior is None:
        sources = [(probabilities, BY_NEIGHBORS)]
    known = [(source, kinds) for source, kinds in sources if source is not None]

    def estimates(chosen: Tensor | slice) -> Tensor | None:
        found = [kind(source[chosen], labels[chosen]) for source, kinds in known for kind in kinds]
        return None if None in found else torch.tensor(found, dtype=torch.double)

    images = len(labels)
    whole = estimates(slice(None))
    if whole is None:
        if share is None:
            raise InputError(
                f"the share of wrong labels is estimated from at least {MIN_IMAGES} images whose "
                "probabilities differ between the classes; there are fewer: give share"
            )
        return share, (0.0, 1.0)
    if share is None and probabilities is not None:
        share = confident_issue_rate(probabilities, labels)
    elif share is None:
        share = float(whole.quantile(0.5))
    num_classes = known[0][0].size(1)
    size = min(images, max(MOST_ENTRIES // num_classes, 10 * MIN_IMAGES))
    generator = torch.Generator().manual_seed(seed)
    samples = (estimates(torch.randint(images, (size,), generator=generator)) for _ in range(DRAWS))
    # A sample of fewer images spreads more, by the root of how many fewer.
    spread = torch.stack([x - whole for x in samples if x is not None]) * (size / images) ** 0.5
    low, high = (whole + spread.quantile(ENDS, dim=0)).unbind()
    highest = high.max() / (1 - MEMORIZED)
    return share, (min(max(0.0, float(low.min())), share), max(min(1.0, float(highest)), share))
