"""What ``audit`` does once its command line is read."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from pyg_agfn.audit.audit_files import write_cleaned, write_issues
from pyg_agfn.audit.label_audit import LabelAudit
from pyg_agfn.audit.page import write_page
from pyg_agfn.backbone_args import is_own_class
from pyg_agfn.cli import make_console, warn
from pyg_agfn.errors import InputError, printable
from pyg_agfn.extras import missing
from pyg_agfn.runs.folder import load_run, refuse_idle_backbone
from pyg_agfn.runs.json_files import read_json, refuse_links
from pyg_agfn.training import TrainOptions, load_datasets, make_fabric
from pyg_agfn.training.run import make_run_folder, print_notes, train_method
from pyg_agfn.training.run_audit import audit_run
from pyg_agfn.training.run_data import load_run_data
from pyg_agfn.training.validation import split_rows
from pyg_agfn.training.weights import with_interpolation

CLEANED = "cleaned_labels.csv"


def audit_new_run(options: TrainOptions, retrain: bool) -> None:
    """Trains the one method of the options, and audits the labels that it was trained on."""
    console = make_console()
    make_fabric(options)  # a device that is not there is said before images are read
    (method,) = options.method
    options = with_interpolation(options.for_method(method))
    train, test = load_datasets(options)
    print_notes(console, train, test)
    folder = make_run_folder(options.out, f"{options.dataset}-{method}-audit")
    train_method(options, folder, train, test, console)
    own = options.backbone if is_own_class(options.backbone) else None
    audit_finished_run(folder, {}, options.cache, retrain, console, own)


def audit_finished_run(
    folder: Path,
    given: Mapping[str, Any],
    cache: Path | None,
    retrain: bool,
    console: Console | None = None,
    backbone: str | None = None,
) -> LabelAudit:
    """Audits the training labels of a run, writes the findings into it and says them in words.

    Args:
        folder: Of a finished run.
        given: Options of the run that are others now.
        cache: Folder for decoded images.
        retrain: Whether to train a second run on the cleaned labels.
        console: Where it is told.
        backbone: ``module:Class`` of a run whose backbone is the user's own.

    Raises:
        InputError: The run is not finished, its training images are not at hand or others now, or
            they are too few or of one class.
    """
    console = console or make_console()
    run = load_run(folder, backbone)
    refuse_idle_backbone([folder], backbone)
    metrics = folder / "metrics.json"
    if not metrics.is_file():
        raise InputError(f"{folder}: is not finished; train_pyg.py --resume {folder} resumes it")
    refuse_links([*folder.glob("label_issues*"), *folder.glob(f"{CLEANED}*")])
    options, train, _ = load_run_data(run, given, cache)
    trained_on = read_json(metrics).get("train_images")
    if trained_on != len(train):
        raise InputError(
            f"{folder}: was trained on {trained_on} images, and there are {len(train):,} now: "
            "images were added or removed"
        )
    audit = audit_run(run, options, train)
    write_audit(audit, folder, console, _set_aside(options))
    if retrain:
        retrain_on_cleaned(folder, options.changed(backbone=backbone or options.backbone), console)
    return audit


def _set_aside(options: TrainOptions) -> dict[str, str]:
    """The given labels of images that chose an epoch, by their names."""
    if not options.val_fraction:
        return {}
    train, _ = load_datasets(options)
    part = train.subset(split_rows(train.labels, options.val_fraction, options.seed)[1])
    return {
        name: part.classes[label]
        for name, label in zip(part.names, part.labels.tolist(), strict=True)
    }


def write_audit(
    audit: LabelAudit, folder: Path, console: Console, others: Mapping[str, str] | None = None
) -> None:
    """Writes all files of an audit into a run folder, and says what was found.

    Args:
        audit: The findings.
        folder: Of the run.
        console: Where it is told.
        others: Labels of images that are not audited, by their names, for the corrected list.
    """
    write_issues(audit, folder / "label_issues.csv")
    left_out = write_cleaned(audit, folder / CLEANED, others)
    write_page(audit, folder / "label_issues.html", folder.name)
    if line := missing("matplotlib"):
        warn(f"no picture of the issues: {line}")
    else:
        from pyg_agfn.audit.picture import plot_audit

        plot_audit(audit, folder / "label_issues.png", folder.name)
    if left_out:
        warn(f"{CLEANED} lacks {left_out:,} images, whose names a list cannot hold")
    console.print(audit.summary(), soft_wrap=True, highlight=False)
    lines = (
        f"All labels by rank: {folder}/label_issues.csv",
        f"To look through: {folder}/label_issues.html",
        f"Corrected labels, for --noise-file: {folder}/{CLEANED}",
    )
    for line in lines:
        console.print(printable(line), soft_wrap=True, highlight=False)


def retrain_on_cleaned(folder: Path, options: TrainOptions, console: Console) -> dict[str, Any]:
    """Trains a run like the first one on its cleaned labels; returns the metrics."""
    cleaned = dataclasses.replace(
        options,
        noise=0.0,
        noise_file=folder / CLEANED,
        noise_labels="names",
        targets="labels",  # votes would take the place of the cleaned labels
    )
    train, test = load_datasets(cleaned)
    second = make_run_folder(folder.parent, f"{folder.name}-cleaned")
    found = train_method(cleaned, second, train, test, console)
    accuracies = [m["accuracy"]["bank"] for m in (read_json(folder / "metrics.json"), found)]
    console.print(
        f"Test accuracy (inductive): {accuracies[0]:.2%} on the given labels, "
        f"{accuracies[1]:.2%} on the cleaned ones. Second run: {printable(str(second))}",
        soft_wrap=True,
        highlight=False,
    )
    return found
