"""Adaptive Graph-based Feature Normalization (AGFN) for PyTorch Geometric."""

import warnings

with warnings.catch_warnings():
    # Imported here first: PyG scripts functions while it loads, and newer torch deprecates that.
    warnings.filterwarnings("ignore", message=".*torch.jit.script.*")
    import torch_geometric  # noqa: F401

from pyg_agfn.errors import InputError
from pyg_agfn.evaluation import LeakageReport, audit_batch_leakage
from pyg_agfn.methods.neighbor_correction import NeighborLabelCorrection
from pyg_agfn.nn import AGFN, AGFNClassifier, ReferenceBank
from pyg_agfn.transforms import PoissonEdges

__version__ = "0.1.0"

__all__ = [
    "AGFN",
    "AGFNClassifier",
    "InputError",
    "LeakageReport",
    "NeighborLabelCorrection",
    "PoissonEdges",
    "ReferenceBank",
    "audit_batch_leakage",
]
