"""How likely each given label is wrong: by a model, its training or neighbours, and calibrated.

Sources: ranking by the probability of the given label (self-confidence), Northcutt, Jiang, Chuang,
*Confident Learning: Estimating Uncertainty in Dataset Labels*, JAIR 2021, Section 3; its mean over
the epochs of a training, Swayamdipta et al., *Dataset Cartography*, EMNLP 2020, Section 2.
"""

import torch
from torch import Tensor

from pyg_agfn.audit.neighbors import NUM_NEIGHBORS, find_neighbors
from pyg_agfn.evaluation.label_issues import label_issue_scores
from pyg_agfn.transforms import SimilarityEdges

__all__ = ["calibrate_scores", "combine_scores", "label_issue_scores", "neighbor_label_scores"]


def neighbor_label_scores(
    features: Tensor,
    labels: Tensor,
    k: int = NUM_NEIGHBORS,
    edges: SimilarityEdges | None = None,
) -> Tensor:
    r"""The probability that a given label is wrong, :math:`1 - q_{i, y_i}`, by the neighbours.

    The features may be of any model (CLIP, DINO, a PCA); memory grows with :math:`N` alone.

    Args:
        features (Tensor): Of each image.
        labels (Tensor): Labels as given, 0 to K - 1.
        k (int): Neighbours that vote. (default: :obj:`10`)
        edges (SimilarityEdges, optional): Graph generator whose expected edges weigh all images in
            the place of the nearest ones.

    Shapes:
        - **input:** :math:`(N, F)`, :math:`(N)`
        - **output:** :math:`(N)`, 0 to 1

    Raises:
        InputError: Features or labels that are none, one image, or one class.

    Example:
        >>> scores = neighbor_label_scores(clip_embeddings, labels)
        >>> scores.argsort(descending=True)[:10]  # the likeliest wrong labels
    """
    features, labels = torch.as_tensor(features), torch.as_tensor(labels)
    num_classes = int(labels.max()) + 1 if labels.numel() else 0
    found = find_neighbors(features, labels, num_classes, k, edges)
    return label_issue_scores(found.posterior, labels.to(found.posterior.device))


def combine_scores(
    probabilities: Tensor | None,
    posterior: Tensor | None,
    labels: Tensor,
    epoch_probability: Tensor | None = None,
) -> Tensor:
    r"""The score by which labels are ranked, from all that is known of them.

    With a model and its training it is

    .. math::
        s_i = 1 - \frac{1}{2} \left( p_{i, y_i} + \hat{\mu}_i \right) ,

    of the trained model's probability and the mean of the network's over the epochs. Where one of
    the two is not known it is the other; without both it is the neighbours'.
    ``docs/label_issues.md`` compares it with other scores.

    Args:
        probabilities (Tensor, optional): Of the classes, by a model.
        posterior (Tensor, optional): Label distribution of the neighbours.
        labels (Tensor): Labels as given.
        epoch_probability (Tensor, optional): :math:`\hat{\mu}`, the mean over the epochs of a
            training of the probability of the given label; NaN where it is not known.

    Shapes:
        - **input:** :math:`(N, K)`, :math:`(N, K)`, :math:`(N)`, :math:`(N)`
        - **output:** :math:`(N)`, 0 to 1
    """
    source = probabilities if probabilities is not None else posterior
    if source is None:
        raise ValueError("probabilities or posterior are needed")
    scores = label_issue_scores(source, labels)
    if epoch_probability is None:
        return scores
    over_epochs = (1 - epoch_probability).clamp(0, 1).to(scores.dtype)
    both = over_epochs if probabilities is None else (scores + over_epochs) / 2
    return torch.where(over_epochs.isnan(), scores, both)


def calibrate_scores(scores: Tensor, share: float) -> Tensor:
    r"""Scores as probabilities whose mean is the share of wrong labels.

    All log-odds are shifted by one number :math:`b`, which keeps the order:

    .. math::
        \tilde{s}_i = \sigma(\mathrm{logit}(s_i) + b), \qquad
        \frac{1}{N} \sum_i \tilde{s}_i = \hat{\rho}

    Source: the prior correction of Saerens, Latinne, Decaestecker, *Adjusting the outputs of a
    classifier to new a priori probabilities*, Neural Computation 2002.

    Args:
        scores (Tensor): 0 to 1.
        share (float): :math:`\hat{\rho}`, 0 to 1.

    Shapes:
        - **input, output:** :math:`(N)`
    """
    odds = torch.logit(scores.double(), eps=1e-7)
    low, high = -50.0, 50.0
    for _ in range(60):  # halved until the two are equal
        shift = (low + high) / 2
        if (odds + shift).sigmoid().mean() < share:
            low = shift
        else:
            high = shift
    return (odds + high).sigmoid().to(scores.dtype)
