"""Layers and models."""

import pyg_agfn.import_pyg  # noqa: F401
from pyg_agfn.nn.agfn import AGFN
from pyg_agfn.nn.backbones import SmallCNN, build_backbone
from pyg_agfn.nn.choose_references import choose_references
from pyg_agfn.nn.classifier import AGFNClassifier, BaselineClassifier
from pyg_agfn.nn.cross_batch_memory import CrossBatchMemory
from pyg_agfn.nn.face_cnn import FaceCNN
from pyg_agfn.nn.graph_normalizer import GraphNormalizer, normalize_features
from pyg_agfn.nn.input_normalization import InputConvention, InputNormalization
from pyg_agfn.nn.mean_teacher import mean_teacher
from pyg_agfn.nn.reference_bank import ReferenceBank
from pyg_agfn.registry import BACKBONES

__all__ = [
    "AGFN",
    "BACKBONES",
    "AGFNClassifier",
    "BaselineClassifier",
    "CrossBatchMemory",
    "FaceCNN",
    "GraphNormalizer",
    "InputConvention",
    "InputNormalization",
    "ReferenceBank",
    "SmallCNN",
    "build_backbone",
    "choose_references",
    "mean_teacher",
    "normalize_features",
]
