"""A trained model as one file for other programs: ONNX, or an exported PyTorch program."""

from typing import TYPE_CHECKING

from pyg_agfn.lazy import lazy

if TYPE_CHECKING:
    from pyg_agfn.export.exporter import CheckImages, ExportReport, export_model
    from pyg_agfn.export.inference_model import InferenceModel

__all__ = ["CheckImages", "ExportReport", "InferenceModel", "export_model"]

__getattr__, __dir__ = lazy(
    __name__,
    {
        "exporter": ["CheckImages", "ExportReport", "export_model"],
        "inference_model": ["InferenceModel"],
    },
)
