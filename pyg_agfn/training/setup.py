"""Device, precision and processes of a run."""

from lightning.fabric import Fabric
from lightning.fabric.loggers.logger import Logger

from pyg_agfn.device import check_device
from pyg_agfn.distributed import launched_processes
from pyg_agfn.errors import InputError
from pyg_agfn.registry import METHODS
from pyg_agfn.training.options import TrainOptions
from pyg_agfn.training.precision import fabric_precision


def make_fabric(options: TrainOptions, logger: Logger | None = None) -> Fabric:
    """Device and precision, and where epochs are logged; joins the processes of torchrun.

    Raises:
        InputError: The device is unknown or not there, or the processes cannot share the batch or
            its graph.
    """
    kind, index = check_device(options.device)
    here, processes = launched_processes()
    if processes > 1:
        if index is not None:
            raise InputError(
                f"--device {options.device}: each process takes one; leave out :{index}"
            )
        if options.batch_size % processes or options.batch_size < 2 * processes:
            raise InputError(
                f"--batch-size {options.batch_size}: must be a multiple of the {processes} "
                "processes, with at least two images for each"
            )
        joins = any("propagation" in METHODS[name].options for name in options.method)
        if joins and options.graph_span == "global" and options.propagation != "dense":
            raise InputError(
                f"--propagation {options.propagation}: {processes} processes share one graph by "
                "dense only; give --graph-span local for a graph of each process's part"
            )
    fabric = Fabric(
        accelerator=kind,
        devices=[index] if index is not None and kind == "cuda" else here,
        num_nodes=processes // here,
        strategy="ddp" if processes > 1 else "auto",
        **fabric_precision(options.precision, kind),
        loggers=[] if logger is None else [logger],
    )
    fabric.launch()
    return fabric
