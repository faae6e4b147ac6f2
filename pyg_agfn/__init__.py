"""Adaptive Graph-based Feature Normalization (AGFN) for PyTorch Geometric.

``import pyg_agfn`` imports neither torch nor PyG; whatever is asked for does.
"""

from typing import TYPE_CHECKING

from pyg_agfn.lazy import lazy

if TYPE_CHECKING:
    from pyg_agfn.datasets.reader import register_dataset
    from pyg_agfn.errors import InputError
    from pyg_agfn.evaluation import LeakageReport, audit_batch_leakage
    from pyg_agfn.methods import NeighborLabelCorrection
    from pyg_agfn.nn import AGFN, AGFNClassifier, ReferenceBank
    from pyg_agfn.registry import register_backbone, register_method, register_protocol
    from pyg_agfn.training import Trainer, TrainingResult
    from pyg_agfn.transforms import PoissonEdges

__version__ = "0.2.0"

__all__ = [
    "AGFN",
    "AGFNClassifier",
    "InputError",
    "LeakageReport",
    "NeighborLabelCorrection",
    "PoissonEdges",
    "ReferenceBank",
    "Trainer",
    "TrainingResult",
    "audit_batch_leakage",
    "register_backbone",
    "register_dataset",
    "register_method",
    "register_protocol",
]

__getattr__, __dir__ = lazy(
    __name__,
    {
        "datasets.reader": ["register_dataset"],
        "errors": ["InputError"],
        "evaluation": ["LeakageReport", "audit_batch_leakage"],
        "methods": ["NeighborLabelCorrection"],
        "nn": ["AGFN", "AGFNClassifier", "ReferenceBank"],
        "registry": ["register_backbone", "register_method", "register_protocol"],
        "training": ["Trainer", "TrainingResult"],
        "transforms": ["PoissonEdges"],
    },
)
