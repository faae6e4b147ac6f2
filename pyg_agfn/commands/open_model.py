"""Opens what ``--checkpoint`` names: a run folder, or an exported file, which needs no torch."""

from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from pyg_agfn.errors import InputError

if TYPE_CHECKING:
    import torch

    from pyg_agfn.exported_model import ExportedModel
    from pyg_agfn.runs.folder import Run


def is_exported(checkpoint: Path) -> bool:
    """Whether a name is that of a file which ``export`` wrote."""
    return checkpoint.suffix in (".onnx", ".pt2")


def load_run_and_device(arguments: Namespace) -> "tuple[Run, torch.device]":
    """The run folder, and the device that the command line names for it.

    Raises:
        InputError: It cannot be read, the device or backbone does not fit, or torch is missing.
    """
    try:
        import torch  # noqa: F401
    except ModuleNotFoundError:
        raise InputError(
            f"--checkpoint {arguments.checkpoint}: a run folder needs torch, which is not "
            "installed; a .onnx file of export.py does not"
        ) from None
    from pyg_agfn.device import find_device
    from pyg_agfn.runs.folder import load_run, refuse_idle_backbone

    device = find_device(arguments.device)
    run = load_run(arguments.checkpoint, arguments.backbone)
    refuse_idle_backbone([arguments.checkpoint], arguments.backbone)
    return run, device


def load_exported(arguments: Namespace) -> "ExportedModel":
    """The exported file, in onnxruntime.

    Raises:
        InputError: It cannot be read, or an option has no effect on it.
    """
    from pyg_agfn.exported_model import ExportedModel, find_providers

    file = arguments.checkpoint
    if file.suffix == ".pt2":
        raise InputError(
            f"--checkpoint {file}: is for torch.export.load; give the run's folder, or export it "
            "as .onnx"
        )
    if arguments.backbone is not None:
        raise InputError("--backbone has no effect on an exported model: leave it out")
    return ExportedModel(file, find_providers(arguments.device))
