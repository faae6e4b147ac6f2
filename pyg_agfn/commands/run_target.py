"""What ``reproduce`` does once its command line is read."""

import argparse
from collections.abc import Sequence

from rich.console import Console

from pyg_agfn.cli import flag_of, make_console
from pyg_agfn.errors import InputError
from pyg_agfn.output_files import check_output_file, check_output_folder, refuse_existing
from pyg_agfn.reproduction.grid import TARGETS
from pyg_agfn.reproduction.other_splits import measure_split
from pyg_agfn.reproduction.render import render
from pyg_agfn.reproduction.results_file import ResultsFile
from pyg_agfn.reproduction.run_grid import Subset, measure_subset, read_subsets, run_grid
from pyg_agfn.training import TrainOptions, make_fabric
from pyg_agfn.training.interruption import same_command_resumes


def run_target(
    arguments: argparse.Namespace, base: TrainOptions, every: Sequence[TrainOptions]
) -> int:
    """Trains the cells of a table or figure, and shows it; returns 0, or 1 if a run failed.

    Args:
        arguments: The command line.
        base: Options that all cells have in common.
        every: The cells, of which the command line may choose a part by ``--shard``.
    """
    index, count = arguments.shard
    cells = every[index::count]
    results = ResultsFile(arguments.results or base.out / "results.jsonl")
    console = make_console()
    subsets = check_first(arguments, base, results, console)
    target = TARGETS[arguments.target]
    note = target.note
    if arguments.on_cpu:
        sizes = " ".join(f"{flag_of(name)} {value}" for name, value in target.on_cpu.items())
        note = f"sized for a CPU, as there is no GPU: {sizes}"
    if note:
        console.print(f"{arguments.target}: {note}", soft_wrap=True, highlight=False)
    with same_command_resumes():
        failed = run_grid(cells, base.out, results, console)
    for subset in subsets:
        measure_subset(cells, subset, results)
    for split in target.splits:
        if split != base.eval_split:
            measure_split(cells, split, base.out, results)
    if arguments.figure in (None, 4):
        print(render(arguments.target, results.records(), base.dataset, arguments.given))
    if arguments.figure:
        from pyg_agfn.reproduction.figures import draw_figure

        points = 200 if arguments.quick else 2000
        print(draw_figure(arguments.target, every, results, arguments.pictures, points))
    return 1 if failed else 0


def check_first(
    arguments: argparse.Namespace, base: TrainOptions, results: ResultsFile, console: Console
) -> list[Subset]:
    """Whatever the end of the work needs, asked before any training; returns the lists."""
    make_fabric(base)
    for path in arguments.values.get("noise_file", ()):
        if path is not None and not path.is_file():
            raise InputError(f"--noise-files {path}: there is no such file")
    check_output_folder(base.out, "--out")
    if passed_over := results.check():
        console.print(passed_over, highlight=False)
    if arguments.figure:
        from pyg_agfn.reproduction.figures import figure_base, figure_files

        own = arguments.pictures is None
        arguments.pictures = base.out / "pictures" if own else arguments.pictures
        figure = figure_base(arguments.target, base.dataset, arguments.pictures)
        files = figure_files(arguments.target, figure)
        if not own and not arguments.overwrite:
            refuse_existing(files, "--pictures")
        for path in files:
            check_output_file(path, "--pictures")
    return read_subsets(arguments.list, base, console)
