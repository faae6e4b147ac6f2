"""What ``serve`` does: it listens, loads the model, and answers."""

from argparse import Namespace

from pyg_agfn.cli import warn
from pyg_agfn.device import find_device
from pyg_agfn.errors import printable
from pyg_agfn.runs.folder import load_run, refuse_idle_backbone
from pyg_agfn.serving.limits import ServeLimits
from pyg_agfn.serving.run_answerer import RunAnswerer
from pyg_agfn.serving.server import address_of, listen, serve, set_up_log
from pyg_agfn.serving.service import Service


def serve_run(arguments: Namespace, limits: ServeLimits) -> int:
    """Serves the run that the command line names until a signal ends it.

    Raises:
        InputError: The run cannot be read, or the address is in use.
        InterruptedRunError: A signal has ended it.
    """
    with listen(arguments.host, arguments.port) as listening:
        device = find_device(arguments.device)
        run = load_run(arguments.checkpoint, arguments.backbone)
        refuse_idle_backbone([arguments.checkpoint], arguments.backbone)
        answerer = RunAnswerer(run, device)
        answerer.answer(["black"], [answerer.blank()], 0)  # a broken model is said at once
        service = Service(answerer, limits, arguments.references)
        set_up_log()
        warn(f"{printable(str(arguments.checkpoint), 200)} on {device}: {address_of(listening)}")
        serve(service, listening)
    return 0
