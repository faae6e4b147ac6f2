"""Transforms that give a PyG graph its edges."""

import pyg_agfn.import_pyg  # noqa: F401
from pyg_agfn.transforms.estimators import straight_through
from pyg_agfn.transforms.poisson_edges import (
    PoissonEdges,
    edge_probability,
    poisson_rate,
    sample_edges,
)
from pyg_agfn.transforms.similarity_edges import SimilarityEdges, cosine_similarity
from pyg_agfn.transforms.threshold_edges import ThresholdEdges

__all__ = [
    "PoissonEdges",
    "SimilarityEdges",
    "ThresholdEdges",
    "cosine_similarity",
    "edge_probability",
    "poisson_rate",
    "sample_edges",
    "straight_through",
]
