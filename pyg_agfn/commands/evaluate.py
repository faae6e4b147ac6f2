"""Evaluates trained runs by every protocol: the batch composition of each figure is named."""

from pathlib import Path
from typing import get_args

from pyg_agfn.choices import MAX_SIZE, LabelMode, Propagation
from pyg_agfn.cli import OneLineParser, flag_of
from pyg_agfn.plugins import add_backbone_option, add_plugin_option, import_plugins


def main() -> int:
    """Evaluates one run, or two and their difference; returns the exit code."""
    import_plugins()
    parser = OneLineParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--checkpoint", type=Path, nargs="+", required=True, help="one run or two")
    parser.add_argument("--root", help="folder of the data set, where it is not as in training")
    parser.add_argument("--eval-split", help="images to measure on: test; ferplus also has valid")
    parser.add_argument(
        "--label-mode",
        choices=get_args(LabelMode),
        help="ferplus: the images that have a label by most votes, by more than half of them, or, "
        "as in the literature, by more than half of those left without single votes",
    )
    parser.add_argument("--batch-size", type=int, help="of the protocols; training's if not given")
    parser.add_argument("--draws", type=int, help="shuffles of the test images; training's if not")
    parser.add_argument(
        "--seed", type=int, help="of the shuffles; training's if not given, of two runs the first's"
    )
    parser.add_argument(
        "--propagation",
        choices=get_args(Propagation),
        help="how the graphs of batches are processed; training's if not given",
    )
    parser.add_argument("--device", help="auto, cpu, cuda, cuda:1, mps; training's if not given")
    parser.add_argument("--cache", type=Path, help="folder for decoded images")
    parser.add_argument(
        "--skip-bad", action="store_true", help="leave out rows and images that are bad"
    )
    parser.add_argument("--format", choices=("table", "json"), default="table")
    add_backbone_option(parser)
    add_plugin_option(parser)
    arguments = parser.parse_args()
    if len(arguments.checkpoint) > 2:
        parser.error("--checkpoint takes one run, or two to compare")
    if arguments.seed is not None and not 0 <= arguments.seed < 1 << 53:
        parser.error(f"--seed must be 0 to 2^53 - 1, got {arguments.seed}")
    for name, least in (("batch_size", 2), ("draws", 1)):
        value = getattr(arguments, name)
        if value is not None and not least <= value <= MAX_SIZE:
            parser.error(f"{flag_of(name)} must be {least} to {MAX_SIZE}, got {value}")

    from pyg_agfn.commands.run_reports import report_runs

    report_runs(arguments)
    return 0
