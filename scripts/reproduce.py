"""Runs a table or a figure of the paper: what is finished stays, what was killed is done again."""

import argparse
import os
from pathlib import Path

from rich.console import Console

from pyg_agfn.cli import OneLineParser, flag_of, make_console, run_script
from pyg_agfn.errors import InputError
from pyg_agfn.output_files import check_output_file, check_output_folder, refuse_existing
from pyg_agfn.reproduction.figures import draw_figure, figure_base, figure_files
from pyg_agfn.reproduction.grid import (
    QUICK,
    ROWS,
    TARGETS,
    grid,
    own_settings,
    quick,
    target_name,
)
from pyg_agfn.reproduction.render import render
from pyg_agfn.reproduction.results_file import ResultsFile
from pyg_agfn.reproduction.run_grid import Subset, measure_subset, read_subsets, run_grid
from pyg_agfn.runs.folder import BEST
from pyg_agfn.training import TrainOptions, make_fabric, parse_options
from pyg_agfn.training.interruption import same_command_resumes
from pyg_agfn.training.option_uses import USES, refuse_without_effect
from pyg_agfn.training.options import RECIPES


def main() -> int:
    """Runs what the command line asks for; returns 0, or 1 if a run failed."""
    arguments, training = parse_arguments()
    base = parse_options(training, refuse=False)
    refuse_unheard(arguments, base)
    if arguments.quick:
        base = quick(base)
    every = grid(arguments.target, base, arguments.method, arguments.seeds, arguments.values)
    if not every:
        rows = ", ".join(TARGETS[arguments.target].rows)
        raise InputError(f"--method: {arguments.target} compares {rows}, and none is chosen")
    refuse_without_effect(every, arguments.training)
    index, count = arguments.shard
    cells = every[index::count]
    results = ResultsFile(arguments.results or base.out / "results.jsonl")

    console = make_console()
    subsets = check_first(arguments, base, results, console)
    with same_command_resumes():
        failed = run_grid(cells, base.out, results, console)
    for subset in subsets:
        measure_subset(cells, subset, results)
    if arguments.figure in (None, 4):
        print(render(arguments.target, results.records(), base.dataset))
    if arguments.figure:
        points = 200 if arguments.quick else 2000
        print(draw_figure(arguments.target, every, results, arguments.pictures, points))
    return 1 if failed else 0


def check_first(
    arguments: argparse.Namespace, base: TrainOptions, results: ResultsFile, console: Console
) -> list[Subset]:
    """Whatever the end of the work needs, asked before any training; returns the lists."""
    make_fabric(base)
    check_output_folder(base.out, "--out")
    if passed_over := results.check():
        console.print(passed_over, highlight=False)
    if arguments.figure:
        own = arguments.pictures is None
        arguments.pictures = base.out / "pictures" if own else arguments.pictures
        figure = figure_base(arguments.target, base.dataset, arguments.pictures)
        files = figure_files(arguments.target, figure)
        if not own and not arguments.overwrite:
            refuse_existing(files, "--pictures")
        for path in files:
            check_output_file(path, "--pictures")
    return read_subsets(arguments.list, base, console)


def parse_arguments() -> tuple[argparse.Namespace, list[str]]:
    """The grid's own options, and those that go on to each training run."""
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
    which.add_argument("--ablation", action="store_true", help="the best recipe, part by part")
    parser.add_argument(
        "--dataset", help="default: ferplus, for figure 4 mnist, for the ablation digits"
    )
    parser.add_argument("--method", nargs="+", choices=ROWS, default=ROWS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument(
        "--noise-rates",
        nargs="+",
        type=float,
        metavar="RATE",
        help="table 2: shares of wrong labels in the place of 0.1 and 0.2",
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
        "--list", nargs="+", type=Path, default=[], help="tables 3, 4: lists of test images"
    )
    arguments, training = parser.parse_known_args()
    if int(os.environ.get("WORLD_SIZE", 1)) > 1:
        parser.error("not under torchrun: start the command several times, or give --shard")
    sweep = arguments.sweep is not None
    arguments.target = target_name(arguments.table, arguments.figure, sweep)
    target = TARGETS[arguments.target]

    if (arguments.target in ("table-3", "table-4")) != bool(arguments.list):
        parser.error("tables 3 and 4, and no others, need --list with their lists of test images")
    if arguments.noise_rates and "noise" not in target.any_of:
        instead = "sets the noise itself" if "noise" in target.varied else "takes one, by --noise"
        parser.error(f"--noise-rates: {arguments.target} {instead}")
    for rate in arguments.noise_rates or ():
        if not 0 < rate < 1:
            parser.error(f"--noise-rates {rate:g}: must be above 0 and below 1")
    if arguments.sweep and len(set(arguments.sweep)) < 2:
        parser.error(f"--sweep {arguments.sweep[0]:g}: needs two learning rates or more")
    for rate in arguments.sweep or ():
        if not 0 < rate < float("inf"):
            parser.error(f"--sweep {rate:g}: must be above 0 and finite")
    given_values = {"noise": arguments.noise_rates, "lr": arguments.sweep}
    arguments.values = {name: values for name, values in given_values.items() if values}
    arguments.given = {word.split("=")[0].replace("--no-", "--") for word in training}
    arguments.training = [name for name in USES if flag_of(name) in arguments.given]
    own = set(map(flag_of, (*target.sets, "seed", "noise_file", "recipe")))
    if refused := sorted(arguments.given & own):
        parser.error(f"{' '.join(refused)}: {arguments.target} sets it itself")
    own = set(map(flag_of, (*QUICK, "train_size", "warmup_epochs"))) if arguments.quick else set()
    if refused := sorted(arguments.given & own):
        parser.error(f"{' '.join(refused)}: --quick sets it itself")
    try:
        index, count = map(int, arguments.shard.split("/"))
    except ValueError:
        index, count = 0, 0
    if not 0 <= index < count:
        parser.error(f"--shard {arguments.shard}: must be I/N with 0 <= I < N")
    arguments.shard = (index, count)
    folder = "reproduce-quick" if arguments.quick else "reproduce"
    training += ["--dataset", arguments.dataset or target.dataset]
    training += ["--out", str(arguments.out or Path("runs") / folder)]
    return arguments, training


def refuse_unheard(arguments: argparse.Namespace, base: TrainOptions) -> None:
    """Stops where agfn-best would not hear an option: it takes a default as not given."""
    compared = set(arguments.method) & set(TARGETS[arguments.target].rows)
    for name in own_settings(base) if BEST in compared else ():
        flag = flag_of(name)
        if flag in arguments.given:
            raise InputError(
                f"{flag} {getattr(base, name)}: is the default, for which {BEST} has its recipe's "
                f"{RECIPES['best'][name]}: leave it out, or train by train_pyg.py --recipe best"
            )


if __name__ == "__main__":
    run_script("reproduce.py", main)
