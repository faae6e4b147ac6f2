"""Training methods for labels that may be wrong, each trained by the same loop."""

from collections.abc import Callable

from torch import Tensor

from pyg_agfn.methods.center_loss import CenterLoss
from pyg_agfn.methods.erasing_attention import ErasingAttention
from pyg_agfn.methods.neighbor_correction import NeighborLabelCorrection
from pyg_agfn.methods.objective import Objective
from pyg_agfn.methods.robust_losses import generalized_cross_entropy, label_smoothing
from pyg_agfn.methods.self_cure import SCNClassifier, SelfCure

__all__ = [
    "CenterLoss",
    "ErasingAttention",
    "NeighborLabelCorrection",
    "Objective",
    "SCNClassifier",
    "SelfCure",
    "generalized_cross_entropy",
    "label_smoothing",
    "make_objective",
]


def make_objective(method: str, criterion: Callable[[Tensor, Tensor], Tensor]) -> Objective:
    """What a method minimizes, with its published settings.

    Args:
        method: A name of :data:`pyg_agfn.runs.folder.Method`.
        criterion: Loss of logits and labels, for the methods that bring none of their own.
    """
    if method == "center-loss":
        return CenterLoss(criterion)
    if method == "scn":
        return SelfCure(criterion)
    if method == "eac":
        return ErasingAttention(criterion)
    own = {"label-smoothing": label_smoothing, "gce": generalized_cross_entropy}
    return Objective(own.get(method, criterion))
