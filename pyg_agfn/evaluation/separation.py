"""How far classes lie apart in a feature space: figures that a picture of it cannot give."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import silhouette_score
from sklearn.neighbors import NearestNeighbors
from torch import Tensor

#: Nearest other samples that are asked, where there are as many.
NEIGHBOURS = 10
#: Features that differ by less than this, of the largest one, differ by float32's rounding.
ROUNDING = 2e-6


@dataclass(frozen=True)
class Separation:
    """Separation of labelled features.

    Attributes:
        variance_ratio: Mean squared distance of features to their class's mean, over the mean
            squared distance of these means to the mean of all: intra- over inter-class variance.
            Less is better.
        silhouette: Mean silhouette coefficient, -1 to 1, of Euclidean distances.
        neighbour_agreement: Share of the nearest other samples (Euclidean) that have the
            sample's label, 0 to 1.
        neighbours: How many nearest ones: :data:`NEIGHBOURS`, or all others where they are fewer.
    """

    variance_ratio: float
    silhouette: float
    neighbour_agreement: float
    neighbours: int = NEIGHBOURS


def measure_separation(features: Tensor, labels: Tensor) -> Separation:
    r"""Separation of features :math:`(n, F)` by labels :math:`(n)`.

    Raises:
        ValueError: There is nothing to measure: fewer than two classes, no more samples than
            classes, features that are all the same but for rounding, or not finite.
    """
    y = labels.numpy()
    classes = np.unique(y)
    if not 2 <= len(classes) < len(y):
        raise ValueError(f"{len(classes)} classes among {len(y)} samples cannot be told apart")
    x = centered(features)
    if not x.any():
        raise ValueError("all features are the same")
    intra = inter = 0.0
    for label in classes:
        own = x[y == label]
        intra += float(((own - own.mean(0)) ** 2).sum())
        inter += float(len(own) * (own.mean(0) ** 2).sum())
    k = min(NEIGHBOURS, len(y) - 1)
    neighbours = NearestNeighbors(n_neighbors=k).fit(x)
    nearest = neighbours.kneighbors(return_distance=False)  # of the others: it asks for none
    return Separation(
        variance_ratio=intra / max(inter, np.finfo(float).tiny),
        silhouette=float(silhouette_score(x, y)),
        neighbour_agreement=float((y[nearest] == y[:, None]).mean()),
        neighbours=k,
    )


def centered(features: Tensor) -> NDArray[Any]:
    r"""Features :math:`(n, F)` less their mean, over the largest number among the differences.

    So squares neither overflow nor vanish. Where only rounding tells the features apart, all are 0.

    Raises:
        ValueError: A feature is not finite.
    """
    x: NDArray[Any] = features.double().numpy()
    if not np.isfinite(x).all():
        raise ValueError("a feature is not finite")
    largest = np.abs(x).max(initial=0.0)
    if not largest:
        return np.zeros_like(x)
    x = x / largest
    x = x - x.mean(0)
    spread = np.abs(x).max()
    return np.zeros_like(x) if spread <= ROUNDING else x / spread
