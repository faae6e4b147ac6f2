"""What :class:`~pyg_agfn.training.TrainingResult` exports and saves for hubs."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from pyg_agfn.export.exporter import CheckImages, ExportReport, Precision, export_model
from pyg_agfn.export.inference_model import InferenceModel
from pyg_agfn.export.pretrained import Pretrained, save_pretrained

if TYPE_CHECKING:
    from pyg_agfn.training.result import TrainingResult


def export_result(
    result: TrainingResult,
    path: Path | str,
    images: Tensor | None,
    precision: Precision,
    overwrite: bool,
) -> ExportReport:
    """See :meth:`pyg_agfn.training.TrainingResult.export`."""
    references = result.references
    checked = None
    if images is not None:
        checked = CheckImages(images, "given images")
    elif references is not None and len(references.images):
        checked = CheckImages(references.images, "images of the bank")
    dataset = result.metrics.get("dataset")
    return export_model(
        InferenceModel(result.model, None if references is None else references.bank),
        result.config,
        path,
        checked,
        precision=precision,
        dataset=None if dataset in ("custom", "folder") else dataset,
        overwrite=overwrite,
    )


def save_result(result: TrainingResult, folder: Path | str, overwrite: bool) -> Path:
    """See :meth:`pyg_agfn.training.TrainingResult.save_pretrained`."""
    options = {} if result.options is None else dataclasses.asdict(result.options.as_saved())
    made = Pretrained(result.config, result.model, result.references, result.metrics)
    return save_pretrained(folder, made, options, overwrite)
