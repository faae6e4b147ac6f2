"""What ``predict`` does: each file's answer is written as soon as it is known."""

import os
import shutil
import sys
from argparse import Namespace
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pyg_agfn.cli import warn
from pyg_agfn.commands.open_model import is_exported, load_exported, load_run_and_device
from pyg_agfn.datasets.image_listing import Ignored
from pyg_agfn.errors import InputError, InterruptedRunError
from pyg_agfn.image_predictions import Prediction, find_images
from pyg_agfn.prediction_output import (
    CsvWriter,
    JsonLinesWriter,
    JsonWriter,
    TableWriter,
    Writer,
)
from pyg_agfn.training.interruption import deferred_signals

if TYPE_CHECKING:
    from pyg_agfn.runs.folder import References


class Source(NamedTuple):
    """What answers.

    Attributes:
        classes: Names of its classes.
        references: The training images that stand in for a batch; None where it has none.
        predict: Called with files, and with what is told of those that cannot be read.
    """

    classes: Sequence[str]
    references: "References | None"
    predict: Callable[[Iterable[Path], Callable[[str], None]], Generator[Prediction, None, None]]


def predict_files(arguments: Namespace) -> int:
    """Predicts what the command line asks for; returns 0, or 1 if an image could not be read."""
    exported = is_exported(arguments.checkpoint)
    source = (open_exported if exported else open_run)(arguments)
    ignored = Ignored()
    files = find_images(arguments.images, ignored)
    if ignored:
        warn(f"{ignored}")
    shown: list[Prediction] = []  # on the sheet
    broken: list[str] = []
    done = 0
    with (
        deferred_signals() as interruption,
        closing(make_writer(arguments, files, source.classes)) as writer,
        # Closed first, also when the reader of the output has gone: its threads end then.
        closing(
            source.predict(
                takewhile(lambda file: interruption.received is None, files), broken.append
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

        plot_contact_sheet(shown, source.references, arguments.sheet)
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


def open_run(arguments: Namespace) -> Source:
    """A run folder, in torch.

    Raises:
        InputError: It cannot be read, the device or backbone does not fit, or torch is missing.
    """
    run, device = load_run_and_device(arguments)
    from pyg_agfn.prediction import predict, refuse_own_transforms

    refuse_own_transforms(run)
    run.model.to(device)
    if run.references is not None:
        run.references.bank.to(device)
    count = 5 if arguments.references is None else arguments.references
    return Source(
        run.config.classes,
        run.references,
        lambda files, report: predict(run, files, count, report=report),
    )


def open_exported(arguments: Namespace) -> Source:
    """An exported file, in onnxruntime; torch is not needed.

    Raises:
        InputError: It cannot be read, or an option has no effect on it.
    """
    model = load_exported(arguments)
    if model.preprocessing is None:
        raise InputError(
            f"{model.file}: transforms in Python made the images that it was trained on; classify "
            "images by ExportedModel.predict_floats()"
        )
    if arguments.references:
        warn("--references: an exported model does not know its training images; none are listed")
    return Source(
        model.classes, None, lambda files, report: model.predict_files(files, report=report)
    )


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
