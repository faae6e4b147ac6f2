"""Classifies images with a trained run, and shows the training images that shaped each answer."""

import csv
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.table import Table

from pyg_agfn.cli import OneLineParser, make_console, run_script
from pyg_agfn.datasets.image_listing import Ignored
from pyg_agfn.errors import printable
from pyg_agfn.prediction import Prediction, find_images, predict, read_images
from pyg_agfn.run_folder import load_run
from pyg_agfn.visualization.contact_sheet import MOST_ROWS, plot_contact_sheet
from pyg_agfn.visualization.picture_file import check_ending


def main() -> int:
    """Predicts; returns 0, or 1 if an image could not be read."""
    parser = OneLineParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("images", nargs="+", type=Path, help="image files, or folders of them")
    parser.add_argument("--checkpoint", type=Path, required=True, help="folder of a run")
    parser.add_argument("--format", choices=("table", "csv", "json"), default="table")
    parser.add_argument("--references", type=int, default=5, help="training images listed for each")
    parser.add_argument("--sheet", type=Path, help="contact sheet to draw, a .png or .svg")
    parser.add_argument("--sheet-images", type=int, default=24, help="images on the sheet")
    arguments = parser.parse_args()
    if arguments.references < 0 or not 1 <= arguments.sheet_images <= MOST_ROWS:
        parser.error(f"--references must be at least 0, --sheet-images 1 to {MOST_ROWS}")
    if arguments.sheet is not None:
        check_ending(arguments.sheet)

    ignored = Ignored()
    files = find_images(arguments.images, ignored)
    if ignored:
        print(f"predict.py: {ignored}", file=sys.stderr)
    run = load_run(arguments.checkpoint)
    readable, images, broken = read_images(run, files)
    predictions = predict(run, readable, images, arguments.references)
    {"table": print_table, "csv": print_csv, "json": print_json}[arguments.format](predictions)
    if arguments.sheet is not None and predictions:
        shown = predictions[: arguments.sheet_images]
        plot_contact_sheet(shown, run.references, arguments.sheet)
    for line in broken:
        print(f"predict.py: skipped: {line}", file=sys.stderr)
    if broken:
        print(f"predict.py: {len(broken)} of {len(files)} images skipped", file=sys.stderr)
    return 1 if broken else 0


def print_table(predictions: Sequence[Prediction]) -> None:
    """The two likeliest classes and the references, a row an image."""
    table = Table(box=None)
    table.add_column("image", overflow="fold")
    for heading in ("class", "p", "next", "p", "margin", "shaped by"):
        table.add_column(heading)
    for p in predictions:
        (first, p1), (second, p2) = p.top_two
        shaped = ", ".join(f"{r.name} ({r.label}) {r.weight:.1%}" for r in p.references)
        row = (str(p.file), first, f"{p1:.1%}", second, f"{p2:.1%}", f"{p.margin:.1%}", shaped)
        table.add_row(*map(printable, row))
    make_console().print(table)


def print_csv(predictions: Sequence[Prediction]) -> None:
    """One row an image, every class's probability in a column."""
    classes = list(predictions[0].probabilities) if predictions else []
    writer = csv.writer(sys.stdout)
    writer.writerow(["file", "class", "margin", *map(printable, classes), "references"])
    for p in predictions:
        shaped = "; ".join(f"{r.name} {r.label} {r.weight:.4f}" for r in p.references)
        values = [f"{value:.6f}" for value in p.probabilities.values()]
        texts = [printable(text) for text in (str(p.file), p.top_two[0][0], shaped)]
        writer.writerow([*texts[:2], f"{p.margin:.6f}", *values, texts[2]])


def print_json(predictions: Sequence[Prediction]) -> None:
    """A list of objects, and nothing else."""
    print(json.dumps([prediction.as_json() for prediction in predictions], indent=2))


if __name__ == "__main__":
    run_script("predict.py", main)
