"""Prints a table of the paper from a file of results, as Markdown."""

from pathlib import Path

from pyg_agfn.cli import OneLineParser, warn
from pyg_agfn.errors import InputError
from pyg_agfn.registry import DATASETS
from pyg_agfn.reproduction.grid import TARGETS, target_name


def main() -> int:
    """Prints what the command line asks for; returns the exit code."""
    parser = OneLineParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("results", type=Path, help="file that reproduce.py wrote")
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--table", type=int, choices=(1, 2, 3, 4, 5))
    which.add_argument("--figure", type=int, choices=(4,), help="accuracies of figure 4")
    which.add_argument("--sweep", action="store_true", help="methods by learning rates")
    which.add_argument("--ablation", action="store_true", help="agfn-nlc, part by part")
    parser.add_argument(
        "--dataset",
        choices=tuple(DATASETS),
        help="default: ferplus, for figure 4 mnist, for the ablation digits",
    )
    arguments = parser.parse_args()
    target = target_name(arguments.table, arguments.figure, arguments.sweep)
    if not arguments.results.exists():
        raise InputError(f"{arguments.results}: there is no such file")
    from pyg_agfn.reproduction.render import render
    from pyg_agfn.reproduction.results_file import ResultsFile

    results = ResultsFile(arguments.results)
    if passed_over := results.check_records():
        warn(passed_over)
    print(render(target, results.records(), arguments.dataset or TARGETS[target].dataset), end="")
    return 0
