"""Prints a table of the paper or of a suite from a file of results, as Markdown."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from pyg_agfn.cli import OneLineParser, warn
from pyg_agfn.errors import InputError
from pyg_agfn.registry import DATASETS
from pyg_agfn.reproduction.grid import TARGETS, target_name
from pyg_agfn.reproduction.suites import SUITES

if TYPE_CHECKING:
    from pyg_agfn.reproduction.results_file import Record


def main() -> int:
    """Prints what the command line asks for, or writes it into documents; returns the exit code."""
    parser = OneLineParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("results", type=Path, help="file that reproduce.py wrote")
    _add_table_options(parser)
    parser.add_argument(
        "--into",
        nargs="+",
        type=Path,
        metavar="DOCUMENT",
        help="render the parts between <!-- rendered by: OPTIONS --> and "
        "<!-- end of what is rendered --> of these documents, by the options of each",
    )
    arguments = parser.parse_args()
    if (arguments.into is None) == (_target(arguments) is None):
        parser.error(
            "one of --table, --figure, --sweep, --ablation and --suite is required, or --into"
        )
    if not arguments.results.exists():
        raise InputError(f"{arguments.results}: there is no such file")
    from pyg_agfn.reproduction.marked_tables import fill_document
    from pyg_agfn.reproduction.results_file import ResultsFile

    results = ResultsFile(arguments.results)
    if passed_over := results.check_records():
        warn(passed_over)
    records = results.records()
    if arguments.into is None:
        print(_table(arguments, records), end="")
        return 0
    for document in arguments.into:
        changed = fill_document(document, partial(render_marked, records=records))
        print(f"{document}: {'rendered' if changed else 'is as it was'}")
    return 0


def render_marked(options: str, records: Sequence[Record]) -> str:
    """The Markdown that the options in a document's comment ask for.

    Raises:
        InputError: They are none, or no record belongs to the table.
    """
    parser = _MarkParser(add_help=False, allow_abbrev=False)
    _add_table_options(parser)
    try:
        arguments = parser.parse_args(shlex.split(options))
    except ValueError as error:
        raise InputError(f"{options}: {error}") from None
    if _target(arguments) is None:
        raise InputError(f"{options or 'no options'}: names no table")
    return _table(arguments, records)


class _MarkParser(argparse.ArgumentParser):
    """Options in a document."""

    def error(self, message: str) -> NoReturn:
        raise InputError(" ".join(message.split()))


def _add_table_options(parser: argparse.ArgumentParser) -> None:
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--table", type=int, choices=(1, 2, 3, 4, 5))
    which.add_argument("--figure", type=int, choices=(4,), help="accuracies of figure 4")
    which.add_argument("--sweep", action="store_true", help="methods by learning rates")
    which.add_argument("--ablation", action="store_true", help="agfn-nlc, part by part")
    which.add_argument("--suite", choices=tuple(SUITES), help="every method on one data set")
    parser.add_argument(
        "--dataset",
        choices=tuple(DATASETS),
        help="default: ferplus, for figure 4 mnist, for the ablation digits, of a suite its own",
    )


def _target(arguments: argparse.Namespace) -> str | None:
    asked = arguments.table, arguments.figure, arguments.sweep, arguments.suite
    return target_name(*asked) if any(asked) or arguments.ablation else None


def _table(arguments: argparse.Namespace, records: Sequence[Record]) -> str:
    from pyg_agfn.reproduction.render import render

    target = _target(arguments)
    assert target is not None
    dataset = arguments.dataset or TARGETS[target].dataset
    if arguments.suite and dataset != TARGETS[target].dataset:
        raise InputError(f"--dataset: --suite {target} is of {TARGETS[target].dataset}")
    return render(target, records, dataset)
