"""Layers and models."""

from pyg_agfn.nn.agfn import AGFN
from pyg_agfn.nn.backbones import BACKBONES, SmallCNN, build_backbone
from pyg_agfn.nn.classifier import AGFNClassifier, BaselineClassifier
from pyg_agfn.nn.graph_normalizer import GraphNormalizer, normalize_features

__all__ = [
    "AGFN",
    "BACKBONES",
    "AGFNClassifier",
    "BaselineClassifier",
    "GraphNormalizer",
    "SmallCNN",
    "build_backbone",
    "normalize_features",
]
