"""What training again on the cleaned labels of an audit is worth.

    .venv/bin/python benchmarks/retraining.py --results gain.jsonl --seeds 0 1 2 -- \
        --dataset digits --noise 0.2
    .venv/bin/python benchmarks/retraining.py --results gain.jsonl            # the table alone

What follows on ``--`` are ``train_pyg.py``'s options. Of each seed ``agfn-nlc`` is trained and
audited. Then it and the baseline are trained on the cleaned labels, and the baseline on the given
and on the true ones. Each is a line of the file of results, which a second call finds there.
Accuracy is that of the last epoch, inductive, on the images of ``--eval-split``.
"""

import numpy as np
import torch
from rich.console import Console
from seeded_runs import Line, add_arguments, run_seeds
from torch import Tensor

from pyg_agfn.cli import OneLineParser, run_script
from pyg_agfn.datasets import ImageDataset
from pyg_agfn.training import Trainer, TrainingResult, TrainOptions, load_datasets

#: Trainings by their titles: method and labels.
TRAININGS = {
    "baseline": ("baseline", "given"),
    "baseline, cleaned": ("baseline", "cleaned"),
    "baseline, true labels": ("baseline", "true"),
    "agfn-nlc": ("agfn-nlc", "given"),
    "agfn-nlc, cleaned": ("agfn-nlc", "cleaned"),
}


def relabelled(data: ImageDataset, labels: Tensor) -> ImageDataset:
    """The same images with other labels."""
    other = data.subset(torch.arange(len(data)))
    other.labels = labels
    return other


def train(
    options: TrainOptions, method: str, data: ImageDataset, test: ImageDataset
) -> TrainingResult:
    """One training by the options of a method."""
    trainer = Trainer.from_options(options.for_method(method), Console(quiet=True))
    return trainer.fit(data, test)


def cleaned_labels(result: TrainingResult, data: ImageDataset) -> Tensor:
    """The labels, with the audit's suggestion where a label is an issue."""
    audit, labels = result.label_issues(), data.labels.clone()
    for image, row in zip(audit.index, audit, strict=True):
        if row.is_issue:
            labels[image] = data.classes.index(row.suggested_label)
    return labels


def compare(options: TrainOptions) -> Line:
    """The accuracy of every training of one seed, and the share of wrong labels."""
    data, test = load_datasets(options)
    first = train(options, "agfn-nlc", data, test)
    labels = {"given": data.labels, "cleaned": cleaned_labels(first, data)}
    labels["true"] = data.true_labels
    accuracies = {}
    for title, (method, kind) in TRAININGS.items():
        result = first
        if title != "agfn-nlc":
            result = train(options, method, relabelled(data, labels[kind]), test)
        accuracies[title] = result.metrics["accuracy"]["bank"]
    wrong = {
        kind: float((labels[kind] != data.true_labels).double().mean())
        for kind in ("given", "cleaned")
    }
    return {"accuracy": accuracies, "wrong": wrong}


def table(lines: list[Line]) -> str:
    """Means and standard deviations over seeds as Markdown, in %."""
    heads = ["set", "seeds", "wrong labels", "after cleaning", *TRAININGS]
    text = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for name in dict.fromkeys(line["set"] for line in lines):
        runs = [line for line in lines if line["set"] == name]
        cells = [name, str(len(runs))]
        for kind in ("given", "cleaned"):
            cells.append(f"{100 * np.mean([run['wrong'][kind] for run in runs]):.1f}")
        for title in TRAININGS:
            found = [100 * run["accuracy"][title] for run in runs]
            spread = f" ± {np.std(found, ddof=1):.1f}" if len(found) > 1 else ""
            cells.append(f"{np.mean(found):.1f}{spread}")
        text.append(f"| {' | '.join(cells)} |")
    return "\n".join(text)


def main() -> int:
    """Trains what is missing, and prints the table."""
    parser = OneLineParser(description=__doc__, allow_abbrev=False)
    add_arguments(parser)
    lines = run_seeds(parser.parse_args(), lambda options, _: compare(options))
    if lines:
        print(table(lines))
    return 0


if __name__ == "__main__":
    run_script("retraining.py", main)
