"""How far classes lie apart in a feature space: figures that a picture of it cannot give."""

from dataclasses import dataclass

import numpy as np
from sklearn.metrics import silhouette_score
from sklearn.neighbors import NearestNeighbors
from torch import Tensor


@dataclass(frozen=True)
class Separation:
    """Separation of labelled features.

    Attributes:
        variance_ratio: Mean squared distance of features to their class's mean, over the mean
            squared distance of these means to the mean of all: intra- over inter-class variance.
            Less is better.
        silhouette: Mean silhouette coefficient, -1 to 1, of Euclidean distances.
        neighbour_agreement: Share of the ten nearest other samples (Euclidean) that have the
            sample's label, 0 to 1.
    """

    variance_ratio: float
    silhouette: float
    neighbour_agreement: float


def measure_separation(features: Tensor, labels: Tensor) -> Separation:
    r"""Separation of features :math:`(n, F)` by labels :math:`(n)`.

    Raises:
        ValueError: Fewer than two classes, or no more samples than classes.
    """
    x = features.double().numpy()
    y = labels.numpy()
    classes = np.unique(y)
    if not 2 <= len(classes) < len(y):
        raise ValueError(f"{len(classes)} classes among {len(y)} samples cannot be told apart")
    mean = x.mean(0)
    intra = inter = 0.0
    for label in classes:
        own = x[y == label]
        intra += float(((own - own.mean(0)) ** 2).sum())
        inter += float(len(own) * ((own.mean(0) - mean) ** 2).sum())
    neighbours = NearestNeighbors(n_neighbors=min(10, len(y) - 1)).fit(x)
    nearest = neighbours.kneighbors(return_distance=False)  # of the others: it asks for none
    return Separation(
        variance_ratio=intra / max(inter, np.finfo(float).tiny),
        silhouette=float(silhouette_score(x, y)),
        neighbour_agreement=float((y[nearest] == y[:, None]).mean()),
    )
