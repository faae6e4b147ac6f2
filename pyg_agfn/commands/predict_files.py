"""What ``predict`` does: each file's answer is written as soon as it is known."""

import os
import shutil
import sys
from argparse import Namespace
from collections.abc import Sequence
from contextlib import closing
from itertools import takewhile
from pathlib import Path

from pyg_agfn.cli import warn
from pyg_agfn.datasets.image_listing import Ignored
from pyg_agfn.device import find_device
from pyg_agfn.errors import InterruptedRunError
from pyg_agfn.prediction import Prediction, find_images, predict, refuse_own_transforms
from pyg_agfn.prediction_output import (
    CsvWriter,
    JsonLinesWriter,
    JsonWriter,
    TableWriter,
    Writer,
)
from pyg_agfn.runs.folder import load_run, refuse_idle_backbone
from pyg_agfn.training.interruption import deferred_signals


def predict_files(arguments: Namespace) -> int:
    """Predicts what the command line asks for; returns 0, or 1 if an image could not be read."""
    device = find_device(arguments.device)
    ignored = Ignored()
    files = find_images(arguments.images, ignored)
    if ignored:
        warn(f"{ignored}")
    run = load_run(arguments.checkpoint, arguments.backbone)
    refuse_idle_backbone([arguments.checkpoint], arguments.backbone)
    refuse_own_transforms(run)
    run.model.to(device)
    if run.references is not None:
        run.references.bank.to(device)
    count = 5 if arguments.references is None else arguments.references
    shown: list[Prediction] = []  # on the sheet
    broken: list[str] = []
    done = 0
    with (
        deferred_signals() as interruption,
        closing(make_writer(arguments, files, run.config.classes)) as writer,
        # Closed first, also when the reader of the output has gone: its threads end then.
        closing(
            predict(
                run,
                takewhile(lambda file: interruption.received is None, files),
                count,
                report=broken.append,
            )
        ) as predictions,
    ):
        for prediction in predictions:
            writer.write(prediction)
            done += 1
            if arguments.sheet is not None and len(shown) < arguments.sheet_images:
                shown.append(prediction)
            if interruption.received is not None:
                break
    if shown:
        from pyg_agfn.visualization.contact_sheet import plot_contact_sheet

        plot_contact_sheet(shown, run.references, arguments.sheet)
    for line in broken:
        warn(f"skipped: {line}")
    if broken:
        warn(f"{len(broken)} of {len(files)} images skipped")
    if interruption.received is not None:
        raise InterruptedRunError(
            f"interrupted; {done} of {len(files)} images are classified",
            128 + interruption.received,
        )
    return 1 if broken else 0


def make_writer(arguments: Namespace, files: Sequence[Path], classes: Sequence[str]) -> Writer:
    """What writes the answers to standard output in the format asked for."""
    if arguments.format == "csv":
        return CsvWriter(sys.stdout, classes, arguments.top)
    if arguments.format == "json":
        return JsonWriter(sys.stdout, arguments.top)
    if arguments.format == "jsonl":
        return JsonLinesWriter(sys.stdout, arguments.top)
    # What another program reads loses nothing to the width of a terminal.
    limited = sys.stdout.isatty() or os.environ.get("COLUMNS", "").isdecimal()
    width = shutil.get_terminal_size().columns if limited else None
    own_line = bool(arguments.references)
    return TableWriter(sys.stdout, files, classes, width, own_line)
