"""Runs a table or figure of the paper, or a suite: what is finished stays, the rest is trained."""

import argparse
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pyg_agfn.choices import CORRECTED, OLD_CORRECTED
from pyg_agfn.cli import OneLineParser, flag_of, warn
from pyg_agfn.errors import InputError
from pyg_agfn.extras import require
from pyg_agfn.plugins import import_plugins
from pyg_agfn.registry import METHODS
from pyg_agfn.reproduction.grid import QUICK, TARGETS, grid, quick, target_name
from pyg_agfn.reproduction.paper_targets import COMPARED
from pyg_agfn.reproduction.suites import SUITES
from pyg_agfn.training.command_line import options_of, parse_given
from pyg_agfn.training.option_uses import USES, refuse_without_effect


def main() -> int:
    """Runs what the command line asks for; returns 0, or 1 if a run failed."""
    arguments, given = parse_arguments()
    target, arguments.given = TARGETS[arguments.target], given
    arguments.on_cpu = bool(target.on_cpu) and _is_cpu(given.get("device", "auto"))
    base = options_of(target.options_of(given, arguments.on_cpu), refuse=False)
    if base.weights is not None:
        from pyg_agfn.training.weights import with_interpolation  # imports torch

        base = with_interpolation(base)
    if arguments.figure:
        for package in ("matplotlib", "bokeh"):
            require(package)
    if arguments.quick:
        base = quick(base)
    every = grid(arguments.target, base, arguments.method, arguments.seeds, arguments.values, given)
    if not every:
        rows = ", ".join(target.rows)
        raise InputError(f"--method: {arguments.target} compares {rows}, and none is chosen")
    refuse_without_effect(every, arguments.training)
    from pyg_agfn.commands.run_target import run_target

    return run_target(arguments, base, every)


def _is_cpu(device: str) -> bool:
    from pyg_agfn.device import find_device  # imports torch

    return find_device(device).type == "cpu"


def parse_arguments() -> tuple[argparse.Namespace, dict[str, Any]]:
    """The grid's own options, and those that each training run is given."""
    import_plugins()
    parser = OneLineParser(
        description=__doc__,
        epilog="All options of train_pyg.py that the table does not set itself can be given too: "
        "--root, --epochs, --lr, --precision, --device ...",
        allow_abbrev=False,
    )
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--table", type=int, choices=(1, 2, 3, 4, 5))
    which.add_argument("--figure", type=int, choices=(1, 3, 4, 5))
    which.add_argument(
        "--sweep",
        nargs="*",
        type=float,
        metavar="LR",
        help="every method at several learning rates (default: 0.02 0.05 0.1)",
    )
    which.add_argument("--ablation", action="store_true", help="agfn-nlc, part by part")
    which.add_argument("--suite", choices=tuple(SUITES), help="every method on one data set")
    parser.add_argument(
        "--dataset", help="default: ferplus, for figure 4 mnist, for the ablation digits"
    )
    usual = tuple(name for name in METHODS if name in COMPARED or METHODS.plugin_of(name))
    parser.add_argument(
        "--method",
        nargs="+",
        choices=tuple(METHODS),
        type=_todays_name,
        help="default: the rows of the documents' tables; of a suite every method",
    )
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument(
        "--noise-rates",
        nargs="+",
        type=float,
        metavar="RATE",
        help="table 2 and suites: shares of wrong labels in the place of their own",
    )
    parser.add_argument(
        "--noise-files",
        nargs="+",
        type=Path,
        metavar="FILE",
        help="--suite cifar10n: lists of training labels, and 'clean' for the labels as they are",
    )
    parser.add_argument("--shard", default="0/1", metavar="I/N", help="every Nth run, from the Ith")
    parser.add_argument("--quick", action="store_true", help="512 images, 2 epochs: a try-out")
    parser.add_argument(
        "--out",
        type=Path,
        help="folder of the runs (default: runs/reproduce, with --quick runs/reproduce-quick)",
    )
    parser.add_argument("--results", type=Path, help="default: results.jsonl in --out")
    parser.add_argument("--pictures", type=Path, help="folder (default: pictures in --out)")
    parser.add_argument(
        "--overwrite", action="store_true", help="replace figures of --pictures that are there"
    )
    parser.add_argument(
        "--list", nargs="+", type=Path, default=[], help="tables 3, 4, suites: lists of test images"
    )
    arguments, rest = parser.parse_known_args()
    if int(os.environ.get("WORLD_SIZE", 1)) > 1:
        parser.error("not under torchrun: start the command several times, or give --shard")
    sweep = arguments.sweep is not None
    arguments.target = target_name(arguments.table, arguments.figure, sweep, arguments.suite)
    target = TARGETS[arguments.target]
    arguments.method = arguments.method or (tuple(METHODS) if arguments.suite else usual)

    listed = arguments.target in ("table-3", "table-4")
    if not arguments.suite and listed != bool(arguments.list):
        parser.error("tables 3 and 4, and no others, need --list with their lists of test images")
    if arguments.noise_rates and "noise" not in target.any_of:
        instead = "sets the noise itself" if "noise" in target.varied else "takes one, by --noise"
        parser.error(f"--noise-rates: {arguments.target} {instead}")
    for rate in arguments.noise_rates or ():
        least = "at least" if arguments.suite else "above"
        if not 0 <= rate < 1 or (not rate and not arguments.suite):
            parser.error(f"--noise-rates {rate:g}: must be {least} 0 and below 1")
    if arguments.sweep and len(set(arguments.sweep)) < 2:
        parser.error(f"--sweep {arguments.sweep[0]:g}: needs two learning rates or more")
    for rate in arguments.sweep or ():
        if not 0 < rate < float("inf"):
            parser.error(f"--sweep {rate:g}: must be above 0 and finite")
    lists = read_noise_files(parser, arguments.noise_files, arguments.target)
    given_values = {"noise": arguments.noise_rates, "lr": arguments.sweep, "noise_file": lists}
    arguments.values = {name: values for name, values in given_values.items() if values}
    given = parse_given(rest)
    for name in target.needs:
        if name not in given:
            parser.error(f"--suite {arguments.suite} needs {flag_of(name)} FILE")
    arguments.training = [name for name in USES if name in given]
    own = {*target.sets, "seed", "noise_file"} | ({"noise"} if lists else set())
    refuse_set(parser, own, given, arguments.target)
    if arguments.quick:
        refuse_set(parser, {*QUICK, "train_size", "warmup_epochs"}, given, "--quick")
    try:
        index, count = map(int, arguments.shard.split("/"))
    except ValueError:
        index, count = 0, 0
    if not 0 <= index < count:
        parser.error(f"--shard {arguments.shard}: must be I/N with 0 <= I < N")
    arguments.shard = (index, count)
    folder = "reproduce-quick" if arguments.quick else "reproduce"
    if arguments.suite and arguments.dataset not in (None, target.dataset):
        parser.error(f"--dataset: --suite {arguments.suite} is of {target.dataset}")
    given["dataset"] = arguments.dataset or target.dataset
    given["out"] = arguments.out or Path("runs") / folder
    return arguments, given


def read_noise_files(
    parser: OneLineParser, paths: list[Path] | None, target: str
) -> list[Path | None]:
    """The lists of training labels of a suite; None stands for the labels as they are."""
    wanted = "noise_file" in TARGETS[target].varied
    if wanted != bool(paths):
        parser.error(
            f"--suite {target} needs --noise-files with its lists of labels ('clean' for none)"
            if wanted
            else f"--noise-files: {target} has no lists of labels"
        )
    lists = [None if path == Path("clean") else path for path in paths or ()]
    names = [None if path is None else path.name for path in lists]
    for path, name in zip(lists, names, strict=True):
        if names.count(name) > 1:
            parser.error(f"--noise-files {path or 'clean'}: another list has this name; rename one")
    return lists


def _todays_name(method: str) -> str:
    """A method by the name that it has now; warns of the old one."""
    if method != OLD_CORRECTED:
        return method
    warn(f"--method {OLD_CORRECTED} is now --method {CORRECTED}")
    return CORRECTED


def refuse_set(parser: OneLineParser, own: set[str], given: Mapping[str, Any], setter: str) -> None:
    """Stops where an option is given that something else sets."""
    if refused := sorted(map(flag_of, own & given.keys())):
        parser.error(f"{' '.join(refused)}: {setter} sets it itself")
