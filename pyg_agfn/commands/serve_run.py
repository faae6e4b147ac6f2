"""What ``serve`` does: it listens, loads the model, and answers."""

from argparse import Namespace

from pyg_agfn.cli import warn
from pyg_agfn.errors import InputError, printable
from pyg_agfn.serving.answerer import Answerer
from pyg_agfn.serving.limits import ServeLimits
from pyg_agfn.serving.server import address_of, listen, serve, set_up_log
from pyg_agfn.serving.service import Service


def serve_run(arguments: Namespace, limits: ServeLimits) -> int:
    """Serves the model that the command line names until a signal ends it.

    Raises:
        InputError: The model cannot be read, or the address is in use.
        InterruptedRunError: A signal has ended it.
    """
    with listen(arguments.host, arguments.port) as listening:
        exported = arguments.checkpoint.suffix in (".onnx", ".pt2")
        answerer = (open_exported if exported else open_run)(arguments)
        answerer.answer(["black"], [answerer.blank()], 0)  # a broken model is said at once
        service = Service(answerer, limits, arguments.references)
        set_up_log()
        warn(f"{printable(str(arguments.checkpoint), 200)}: {address_of(listening)}")
        serve(service, listening)
    return 0


def open_run(arguments: Namespace) -> Answerer:
    """A run folder, in torch.

    Raises:
        InputError: It cannot be read, or the device or the backbone does not fit.
    """
    from pyg_agfn.device import find_device
    from pyg_agfn.runs.folder import load_run, refuse_idle_backbone
    from pyg_agfn.serving.run_answerer import RunAnswerer

    device = find_device(arguments.device)
    run = load_run(arguments.checkpoint, arguments.backbone)
    refuse_idle_backbone([arguments.checkpoint], arguments.backbone)
    return RunAnswerer(run, device)


def open_exported(arguments: Namespace) -> Answerer:
    """An exported file, in onnxruntime; torch is not needed.

    Raises:
        InputError: It cannot be read, or an option has no effect on it.
    """
    from pyg_agfn.exported_model import ExportedModel, find_providers
    from pyg_agfn.serving.exported_answerer import ExportedAnswerer

    file = arguments.checkpoint
    if file.suffix == ".pt2":
        raise InputError(
            f"--checkpoint {file}: is for torch.export.load; give the run's folder, or export it "
            "as .onnx"
        )
    if arguments.backbone is not None:
        raise InputError("--backbone has no effect on an exported model: leave it out")
    return ExportedAnswerer(ExportedModel(file, find_providers(arguments.device)))
