"""What ``serve`` does: it listens, loads the model, and answers."""

from argparse import Namespace

from pyg_agfn.cli import warn
from pyg_agfn.commands.open_model import is_exported, load_exported, load_run_and_device
from pyg_agfn.errors import printable
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
        exported = is_exported(arguments.checkpoint)
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
        InputError: It cannot be read, the device or backbone does not fit, or torch is missing.
    """
    run, device = load_run_and_device(arguments)
    from pyg_agfn.serving.run_answerer import RunAnswerer

    return RunAnswerer(run, device)


def open_exported(arguments: Namespace) -> Answerer:
    """An exported file, in onnxruntime; torch is not needed.

    Raises:
        InputError: It cannot be read, or an option has no effect on it.
    """
    from pyg_agfn.serving.exported_answerer import ExportedAnswerer

    return ExportedAnswerer(load_exported(arguments))
