"""Prints a table of the paper from a file of results, as Markdown."""

from pathlib import Path

from pyg_agfn.cli import OneLineParser, run_script
from pyg_agfn.errors import InputError
from pyg_agfn.reproduction.grid import TARGETS
from pyg_agfn.reproduction.render import render
from pyg_agfn.reproduction.results_file import ResultsFile


def main() -> int:
    """Prints what the command line asks for; returns the exit code."""
    parser = OneLineParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("results", type=Path, help="file that reproduce.py wrote")
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--table", type=int, choices=(1, 2, 3, 4, 5))
    which.add_argument("--figure", type=int, choices=(4,), help="accuracies of figure 4")
    parser.add_argument("--dataset", help="default: ferplus, and mnist for figure 4")
    arguments = parser.parse_args()
    target = f"table-{arguments.table}" if arguments.table else f"figure-{arguments.figure}"
    if not arguments.results.is_file():
        raise InputError(f"{arguments.results}: there is no such file")
    records = ResultsFile(arguments.results).records()
    print(render(target, records, arguments.dataset or TARGETS[target].dataset), end="")
    return 0


if __name__ == "__main__":
    run_script("render_results.py", main)
