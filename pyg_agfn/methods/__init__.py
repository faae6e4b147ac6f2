"""Training methods for labels that may be wrong, each trained by the same loop."""

from pyg_agfn.methods.agfn import AGFNMethod, GraphMethod, ThresholdGCN
from pyg_agfn.methods.baseline import Baseline
from pyg_agfn.methods.center_loss import CenterLoss
from pyg_agfn.methods.erasing_attention import ErasingAttention
from pyg_agfn.methods.method import Method, StepOutput, TrainingBatch
from pyg_agfn.methods.neighbor_correction import NeighborLabelCorrection
from pyg_agfn.methods.neighbor_correction.method import NeighborCorrection
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
    "CenterLoss",
    "ErasingAttention",
    "GeneralizedCrossEntropy",
    "GraphMethod",
    "LabelSmoothing",
    "Method",
    "NeighborCorrection",
    "NeighborLabelCorrection",
    "SCNClassifier",
    "SelfCure",
    "StepOutput",
    "ThresholdGCN",
    "TrainingBatch",
    "generalized_cross_entropy",
    "label_smoothing",
    "register_method",
]
