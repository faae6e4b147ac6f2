"""Evaluates trained runs by every protocol: the batch composition of each figure is named."""

import json
import sys
from argparse import Namespace
from pathlib import Path
from typing import get_args

import torch

from pyg_agfn.cli import OneLineParser, flag_of, make_console, run_script
from pyg_agfn.datasets.bad_data import unique, write_skipped
from pyg_agfn.datasets.batches import Batches
from pyg_agfn.datasets.ferplus import LabelMode
from pyg_agfn.errors import InputError, printable
from pyg_agfn.evaluation import EvaluationSettings, compare, extract_features
from pyg_agfn.evaluation.report import (
    Report,
    class_table,
    comparison_line,
    make_report,
    protocol_table,
)
from pyg_agfn.runs.files import refuse_links, write_json
from pyg_agfn.runs.folder import MAX_SIZE, load_run
from pyg_agfn.training import make_fabric
from pyg_agfn.training.run_data import load_run_data
from pyg_agfn.visualization.confusion import MOST_CLASSES, plot_confusion


def main() -> int:
    """Evaluates one run, or two and their difference; returns the exit code."""
    parser = OneLineParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--checkpoint", type=Path, nargs="+", required=True, help="one run or two")
    parser.add_argument("--root", help="folder of the data set, where it is not as in training")
    parser.add_argument("--eval-split", choices=("valid", "test"), help="images to measure on")
    parser.add_argument(
        "--label-mode",
        choices=get_args(LabelMode),
        help="ferplus: the images that have a label by most votes, or by more than half of them",
    )
    parser.add_argument("--batch-size", type=int, help="of the protocols; training's if not given")
    parser.add_argument("--draws", type=int, help="shuffles of the test images; training's if not")
    parser.add_argument(
        "--seed", type=int, help="of the shuffles; training's if not given, of two runs the first's"
    )
    parser.add_argument("--device", help="auto, cpu, cuda, cuda:1, mps; training's if not given")
    parser.add_argument("--cache", type=Path, help="folder for decoded images")
    parser.add_argument(
        "--skip-bad", action="store_true", help="leave out rows and images that are bad"
    )
    parser.add_argument("--format", choices=("table", "json"), default="table")
    arguments = parser.parse_args()
    if len(arguments.checkpoint) > 2:
        parser.error("--checkpoint takes one run, or two to compare")
    if arguments.seed is not None and not 0 <= arguments.seed < 1 << 53:
        parser.error(f"--seed must be 0 to 2^53 - 1, got {arguments.seed}")
    for name, least in (("batch_size", 2), ("draws", 1)):
        value = getattr(arguments, name)
        if value is not None and not least <= value <= MAX_SIZE:
            parser.error(f"{flag_of(name)} must be {least} to {MAX_SIZE}, got {value}")

    reports: list[Report] = []
    for folder in arguments.checkpoint:
        reports.append(report_run(folder, arguments, reports[0].settings if reports else None))
    if arguments.format == "json":
        print(json.dumps([report.as_json() for report in reports], indent=2))
        return 0
    console = make_console()
    for folder, report in zip(arguments.checkpoint, reports, strict=True):
        console.print(protocol_table(report), "", class_table(report), "")
        written = f"figures and confusion matrix: {folder}/evaluation.*"
        console.print(printable(written), soft_wrap=True, highlight=False)
    if len(reports) == 2:
        first, second = reports
        if not torch.equal(first.labels, second.labels):
            raise InputError("--checkpoint: the two runs are not measured on the same images")
        found = compare(first.headline.logits, second.headline.logits, first.labels)
        console.print(comparison_line(first, second, found))
    return 0


def report_run(folder: Path, arguments: Namespace, first: EvaluationSettings | None) -> Report:
    """Measures a run and leaves figures and confusion matrix in its folder.

    Draws and seed are those of the ``first`` run, if there is one, else its own.
    """
    run = load_run(folder)
    given = [("--root", arguments.root), ("--eval-split", arguments.eval_split)]
    given += [("--device", arguments.device)]
    flags = [text for flag, value in given if value is not None for text in (flag, str(value))]
    flags += ["--skip-bad"] if arguments.skip_bad else []
    options, train, test = load_run_data(run, flags, arguments.cache, arguments.label_mode)
    refuse_links(folder.glob("evaluation*"))
    if skipped := unique([*train.skipped, *test.skipped]):
        path = folder / "evaluation-skipped.csv"
        write_skipped(path, skipped)
        print(
            printable(f"evaluate.py: left out: {len(skipped)} bad rows or images, see {path}"),
            file=sys.stderr,
        )
    draws, seed = (first.draws, first.seed) if first else (options.eval_draws, options.seed)
    fabric = make_fabric(options)
    # In training's layout, whose sums a GPU may round otherwise.
    layout = torch.channels_last
    model = run.model.to(device=fabric.device, memory_format=layout)  # type: ignore[call-overload]
    bank = None if run.references is None else run.references.bank.to(fabric.device)
    batches = Batches(test, options.batch_size, fabric.device)
    features = extract_features(model, batches, fabric.autocast())
    settings = EvaluationSettings(
        bank,
        arguments.batch_size or options.batch_size,
        arguments.draws or draws,
        seed if arguments.seed is None else arguments.seed,
    )
    classes = run.card.classes
    report = make_report(folder.name, classes, model, features, test.labels, settings)
    write_json(folder / "evaluation.json", report.as_json())
    if len(classes) > MOST_CLASSES:
        print(
            f"evaluate.py: no picture of the confusion matrix of {len(classes):,} classes;"
            f" {printable(str(folder))}/evaluation.json has its counts",
            file=sys.stderr,
        )
        return report
    title = f"{folder.name}: % of each true class, inductive (reference bank)"
    plot_confusion(report.scores.confusion, classes, folder / "evaluation.png", title)
    return report


if __name__ == "__main__":
    run_script("evaluate.py", main)
