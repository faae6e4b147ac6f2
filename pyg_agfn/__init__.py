"""Adaptive Graph-based Feature Normalization (AGFN) for PyTorch Geometric."""

import importlib
import warnings
from typing import TYPE_CHECKING, Any

with warnings.catch_warnings():
    # Imported here first: PyG scripts functions while it loads, and newer torch deprecates that.
    warnings.filterwarnings("ignore", message=".*torch.jit.script.*")
    import torch_geometric  # noqa: F401

if TYPE_CHECKING:
    from pyg_agfn.errors import InputError
    from pyg_agfn.evaluation import LeakageReport, audit_batch_leakage
    from pyg_agfn.methods import NeighborLabelCorrection
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

#: Where each name is. It is imported when it is asked for: torchvision, torchmetrics and
#: scikit-learn take more than a second, and who uses a layer needs none of the evaluation.
_HOMES = {
    "AGFN": "nn",
    "AGFNClassifier": "nn",
    "InputError": "errors",
    "LeakageReport": "evaluation",
    "NeighborLabelCorrection": "methods",
    "PoissonEdges": "transforms",
    "ReferenceBank": "nn",
    "audit_batch_leakage": "evaluation",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
