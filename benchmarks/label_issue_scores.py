"""Scores that say how likely a given label is wrong, and how well a score finds wrong labels.

Sources: AUM, Pleiss et al., *Identifying Mislabeled Data using the Area Under the Margin Ranking*,
NeurIPS 2020; deep k-NN, Bahri, Jiang, Gupta, *Deep k-NN for Noisy Labels*, ICML 2020; the mean
probability over epochs, Swayamdipta et al., *Dataset Cartography*, EMNLP 2020.
"""

from typing import NamedTuple

import numpy as np
import torch
from sklearn.metrics import average_precision_score, roc_auc_score
from torch import Tensor

from pyg_agfn.methods.nearest_votes import neighbor_votes
from pyg_agfn.nn import CrossBatchMemory
from pyg_agfn.transforms import SimilarityEdges

#: Probabilities are kept this far from 0 and 1 where their log-odds are taken.
MARGIN = 1e-6


class Quality(NamedTuple):
    """How well a score finds wrong labels; NaN where no label or every label is wrong.

    Attributes:
        auroc: Area under the ROC curve.
        average_precision: Area under the precision-recall curve, in steps.
        f1: Of the labels that are counted as wrong.
        precision_at_share: Share of wrong labels among as many first ones as there are wrong ones.
        flagged: Share of labels that are counted as wrong.
    """

    auroc: float
    average_precision: float
    f1: float
    precision_at_share: float
    flagged: float


def quality(score: Tensor, wrong: Tensor, flagged: Tensor) -> Quality:
    r"""Compares a score with the truth.

    Args:
        score: Higher is likelier wrong.
        wrong: Which labels are wrong, boolean.
        flagged: Which labels are counted as wrong, boolean.

    Shapes:
        - **input:** :math:`(n)` each
    """
    share = float(flagged.double().mean())
    count = int(wrong.sum())
    if count in (0, len(wrong)):
        return Quality(*[float("nan")] * 4, share)
    truth, values = wrong.numpy(), score.double().numpy()
    hits = int((flagged & wrong).sum())
    return Quality(
        float(roc_auc_score(truth, values)),
        float(average_precision_score(truth, values)),
        2 * hits / (int(flagged.sum()) + count),
        float(wrong[first(score, count / len(wrong))].double().mean()),
        share,
    )


def first(score: Tensor, share: float) -> Tensor:
    """A boolean mask of a share of the labels, those of the highest score, ties by lot."""
    # Not by PyTorch's permutation of a seed: label noise is the beginning of one.
    shuffled = torch.from_numpy(np.random.default_rng(0).permutation(len(score)))
    order = shuffled[score[shuffled].argsort(descending=True, stable=True)]
    flagged = torch.zeros(len(score), dtype=torch.bool)
    flagged[order[: round(share * len(score))]] = True
    return flagged


def label_margin(logits: Tensor, labels: Tensor) -> Tensor:
    r"""The given label's logit minus the largest other one: what AUM is the mean over epochs of.

    Shapes:
        - **input:** :math:`(N, K)`, :math:`(N)`
        - **output:** :math:`(N)`
    """
    given = logits.gather(1, labels.unsqueeze(1)).squeeze(1)
    others = logits.scatter(1, labels.unsqueeze(1), float("-inf"))
    return given - others.amax(1)


def nearest_posterior(features: Tensor, labels: Tensor, num_classes: int, k: int) -> Tensor:
    r"""The share of each class among the k nearest other images, by Euclidean distance.

    Deep k-NN's score is 1 minus the given label's share.

    Shapes:
        - **input:** :math:`(n, F)`, :math:`(n)`
        - **output:** :math:`(n, K)`, rows sum to 1
    """
    votes = neighbor_votes(features.float(), labels, num_classes, k, leave_out=True)
    return votes / votes.sum(1, keepdim=True)


def edge_posterior(
    edges: SimilarityEdges, features: Tensor, labels: Tensor, targets: Tensor
) -> Tensor:
    r"""The neighbours' label distribution by a graph over all images, each image itself left out.

    Args:
        edges: Graph generator, with the α and β that training has found.
        features: Projected features.
        labels: As given.
        targets: The distributions whose mean is taken.

    Shapes:
        - **input:** :math:`(n, F)`, :math:`(n)`, :math:`(n, K)`
        - **output:** :math:`(n, K)`, rows sum to 1
    """
    count = len(labels)
    memory = CrossBatchMemory(count, features.size(1), targets.size(1))
    memory.push(features, targets, labels, torch.zeros(count), torch.arange(count))
    return memory.posteriors(edges)[0]


def mean_log_odds(*probabilities: Tensor) -> Tensor:
    """Probabilities whose log-odds are the mean of the given ones'."""
    odds = [p.double().clamp(MARGIN, 1 - MARGIN).logit() for p in probabilities]
    return torch.stack(odds).mean(0).sigmoid()


def mean_over_epochs(values: Tensor) -> Tensor:
    r"""The mean of what was recorded, as an image may be in no batch of an epoch.

    An image that was in none of any epoch has the mean of all.

    Shapes:
        - **input:** :math:`(E, n)`, NaN for not recorded
        - **output:** :math:`(n)`
    """
    mean = values.nanmean(0)
    return torch.where(mean.isnan(), values.nanmean(), mean)
