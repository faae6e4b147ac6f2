"""Classifies images with a trained run, and shows the training images that shaped each answer."""

import os
import shutil
import sys
from argparse import Namespace
from collections.abc import Sequence
from contextlib import closing
from itertools import takewhile
from pathlib import Path

from pyg_agfn.cli import OneLineParser, run_script
from pyg_agfn.datasets.image_listing import Ignored
from pyg_agfn.device import find_device
from pyg_agfn.errors import InterruptedRunError
from pyg_agfn.prediction import Prediction, find_images, predict
from pyg_agfn.prediction_output import (
    CsvWriter,
    JsonLinesWriter,
    JsonWriter,
    TableWriter,
    Writer,
)
from pyg_agfn.runs.folder import MAX_REFERENCES, MAX_SIZE, load_run
from pyg_agfn.training.interruption import deferred_signals
from pyg_agfn.visualization.contact_sheet import MOST_ROWS, plot_contact_sheet
from pyg_agfn.visualization.picture_file import check_ending


def main() -> int:
    """Predicts; returns 0, or 1 if an image could not be read."""
    arguments = parse_arguments()
    device = find_device(arguments.device)
    ignored = Ignored()
    files = find_images(arguments.images, ignored)
    if ignored:
        print(f"predict.py: {ignored}", file=sys.stderr)
    run = load_run(arguments.checkpoint)
    run.model.to(device)
    if run.references is not None:
        run.references.bank.to(device)
    count = 5 if arguments.references is None else arguments.references
    shown: list[Prediction] = []  # on the sheet
    broken: list[str] = []
    done = 0
    with (
        deferred_signals() as interruption,
        closing(make_writer(arguments, files, run.card.classes)) as writer,
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
        plot_contact_sheet(shown, run.references, arguments.sheet)
    for line in broken:
        print(f"predict.py: skipped: {line}", file=sys.stderr)
    if broken:
        print(f"predict.py: {len(broken)} of {len(files)} images skipped", file=sys.stderr)
    if interruption.received is not None:
        raise InterruptedRunError(
            f"interrupted; {done} of {len(files)} images are classified",
            128 + interruption.received,
        )
    return 1 if broken else 0


def parse_arguments() -> Namespace:
    """The command line, checked before anything is read."""
    parser = OneLineParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("images", nargs="+", type=Path, help="image files, or folders of them")
    parser.add_argument("--checkpoint", type=Path, required=True, help="folder of a run")
    parser.add_argument(
        "--format",
        choices=("table", "csv", "json", "jsonl"),
        default="table",
        help="all are written image by image; jsonl is an object a line",
    )
    parser.add_argument(
        "--references",
        type=int,
        help="training images listed for each (default: 5; table: as many as fit on the line, "
        "if given on a line of their own)",
    )
    parser.add_argument("--top", type=int, help="csv, json: the likeliest classes, not all")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps")
    parser.add_argument("--sheet", type=Path, help="contact sheet to draw, a .png or .svg")
    parser.add_argument("--sheet-images", type=int, default=24, help="images on the sheet")
    arguments = parser.parse_args()
    if not 0 <= (arguments.references or 0) <= MAX_REFERENCES:
        parser.error(f"--references must be 0 to {MAX_REFERENCES}")
    if not 1 <= arguments.sheet_images <= MOST_ROWS:
        parser.error(f"--sheet-images must be 1 to {MOST_ROWS}")
    if arguments.top is not None and not 1 <= arguments.top <= MAX_SIZE:
        parser.error(f"--top must be 1 to {MAX_SIZE}")
    if arguments.top is not None and arguments.format == "table":
        parser.error("--top: a table has the two likeliest classes; choose another --format")
    if arguments.sheet is not None:
        check_ending(arguments.sheet)
    return arguments


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


if __name__ == "__main__":
    run_script("predict.py", main)
