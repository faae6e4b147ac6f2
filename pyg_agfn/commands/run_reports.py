"""What ``evaluate`` measures, writes and prints."""

import json
from argparse import Namespace
from pathlib import Path

import torch

from pyg_agfn.cli import make_console, warn
from pyg_agfn.datasets.bad_data import unique, write_skipped
from pyg_agfn.datasets.batches import Batches
from pyg_agfn.errors import InputError, printable
from pyg_agfn.evaluation import EvaluationSettings, compare, extract_features
from pyg_agfn.evaluation.report import (
    Report,
    class_table,
    comparison_line,
    make_report,
    protocol_table,
)
from pyg_agfn.extras import missing
from pyg_agfn.nn import AGFNClassifier
from pyg_agfn.runs.folder import load_run, refuse_idle_backbone
from pyg_agfn.runs.json_files import refuse_links, write_json
from pyg_agfn.training import make_fabric
from pyg_agfn.training.run_data import load_run_data


def report_runs(arguments: Namespace) -> None:
    """Measures one run or two, and prints their reports.

    Raises:
        InputError: A run cannot be read, or the two are not measured on the same images.
    """
    refuse_idle_backbone(arguments.checkpoint, arguments.backbone)
    reports: list[Report] = []
    for folder in arguments.checkpoint:
        reports.append(report_run(folder, arguments, reports[0].settings if reports else None))
    if arguments.format == "json":
        print(json.dumps([report.as_json() for report in reports], indent=2))
        return
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


def report_run(folder: Path, arguments: Namespace, first: EvaluationSettings | None) -> Report:
    """Measures a run and leaves figures and confusion matrix in its folder.

    Draws and seed are those of the ``first`` run, if there is one, else its own.
    """
    run = load_run(folder, arguments.backbone)
    names = ("root", "eval_split", "device")
    given = {name: getattr(arguments, name) for name in names}
    given = {name: value for name, value in given.items() if value is not None}
    given |= {"skip_bad": True} if arguments.skip_bad else {}
    options, train, test = load_run_data(run, given, arguments.cache, arguments.label_mode)
    refuse_links(folder.glob("evaluation*"))
    if skipped := unique([*train.skipped, *test.skipped]):
        path = folder / "evaluation-skipped.csv"
        write_skipped(path, skipped)
        warn(f"left out: {len(skipped)} bad rows or images, see {path}")
    draws, seed = (first.draws, first.seed) if first else (options.eval_draws, options.seed)
    fabric = make_fabric(options)
    # In training's layout, whose sums a GPU may round otherwise.
    layout = torch.channels_last
    model = run.model.to(device=fabric.device, memory_format=layout)  # type: ignore[call-overload]
    if isinstance(model, AGFNClassifier):
        model.agfn.propagation = arguments.propagation or options.propagation
    bank = None if run.references is None else run.references.bank.to(fabric.device)
    batches = Batches(test, options.batch_size, fabric.device)
    features = extract_features(model, batches, fabric.autocast())
    settings = EvaluationSettings(
        bank,
        arguments.batch_size or options.batch_size,
        arguments.draws or draws,
        seed if arguments.seed is None else arguments.seed,
    )
    classes = run.config.classes
    report = make_report(folder.name, classes, model, features, test.labels, settings)
    write_json(folder / "evaluation.json", report.as_json())
    if line := missing("matplotlib"):
        warn(f"no picture of the confusion matrix: {line}")
        return report
    from pyg_agfn.visualization.confusion import MOST_CLASSES, plot_confusion

    if len(classes) > MOST_CLASSES:
        warn(
            f"no picture of the confusion matrix of {len(classes):,} classes; "
            f"{folder}/evaluation.json has its counts"
        )
        return report
    title = f"{folder.name}: % of each true class, inductive (reference bank)"
    plot_confusion(report.scores.confusion, classes, folder / "evaluation.png", title)
    return report
