"""Classifies images with a trained run, and shows the training images that shaped each answer."""

from argparse import Namespace
from pathlib import Path

from pyg_agfn.choices import MAX_REFERENCES, MAX_SIZE, MOST_ROWS
from pyg_agfn.cli import OneLineParser
from pyg_agfn.plugins import add_backbone_option, add_plugin_option, import_plugins
from pyg_agfn.runs.shipped import HELP, run_folder
from pyg_agfn.visualization.picture_file import check_ending


def main() -> int:
    """Predicts; returns 0, or 1 if an image could not be read."""
    arguments = parse_arguments()
    from pyg_agfn.commands.predict_files import predict_files

    return predict_files(arguments)


def parse_arguments() -> Namespace:
    """The command line, checked before anything is read."""
    import_plugins()
    parser = OneLineParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("images", nargs="+", type=Path, help="image files, or folders of them")
    parser.add_argument("--checkpoint", type=run_folder, required=True, help=HELP)
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
    add_backbone_option(parser)
    add_plugin_option(parser)
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
