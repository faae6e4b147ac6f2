"""Training methods for labels that may be wrong, each trained by the same loop."""

from pyg_agfn.methods.agfn import AGFNMethod, GraphMethod, ThresholdGCN
from pyg_agfn.methods.baseline import Baseline
from pyg_agfn.methods.batchformer import BatchFormer, BatchFormerClassifier
from pyg_agfn.methods.center_loss import CenterLoss
from pyg_agfn.methods.erasing_attention import ErasingAttention
from pyg_agfn.methods.la_net import LANet, LANetClassifier
from pyg_agfn.methods.locality_preserving import LocalityPreserving
from pyg_agfn.methods.meta_cleaner import MetaCleaner, MetaCleanerClassifier
from pyg_agfn.methods.method import Method, StepOutput, TrainingBatch
from pyg_agfn.methods.neighbor_correction import NeighborLabelCorrection
from pyg_agfn.methods.neighbor_correction.method import NeighborCorrection
from pyg_agfn.methods.region_attention import RANClassifier, RegionAttention
from pyg_agfn.methods.relative_uncertainty import RelativeUncertainty, RULClassifier
from pyg_agfn.methods.robust_losses import (
    GeneralizedCrossEntropy,
    LabelSmoothing,
    generalized_cross_entropy,
    label_smoothing,
)
from pyg_agfn.methods.self_cure import SCNClassifier, SelfCure
from pyg_agfn.registry import register_method

__all__ = [
    "AGFNMethod",
    "Baseline",
    "BatchFormer",
    "BatchFormerClassifier",
    "CenterLoss",
    "ErasingAttention",
    "GeneralizedCrossEntropy",
    "GraphMethod",
    "LANet",
    "LANetClassifier",
    "LabelSmoothing",
    "LocalityPreserving",
    "MetaCleaner",
    "MetaCleanerClassifier",
    "Method",
    "NeighborCorrection",
    "NeighborLabelCorrection",
    "RANClassifier",
    "RULClassifier",
    "RegionAttention",
    "RelativeUncertainty",
    "SCNClassifier",
    "SelfCure",
    "StepOutput",
    "ThresholdGCN",
    "TrainingBatch",
    "generalized_cross_entropy",
    "label_smoothing",
    "register_method",
]
