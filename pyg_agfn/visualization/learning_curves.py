"""Accuracy by epoch, on the training labels as given and on test images."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from pyg_agfn.errors import InputError, as_path
from pyg_agfn.run_files import check_file
from pyg_agfn.visualization.palette import METHOD_STYLES


def read_history(folder: Path) -> list[dict[str, float]]:
    """What each epoch of a run measured, from its log.

    Raises:
        InputError: The folder has no log.
    """
    path = as_path(folder, "run folder") / "log" / "metrics.csv"
    try:
        check_file(path)
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
        if not rows:
            raise ValueError("has no epoch")
        history = [
            {name: float(row[name]) for name in ("epoch", "test_accuracy", "train_accuracy")}
            for row in rows
        ]
        if not all(0 <= value < 1e9 for epoch in history for value in epoch.values()):
            raise ValueError("has what is no accuracy")
        return history
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file; is {folder} a run?") from None
    except (OSError, KeyError, TypeError, ValueError, csv.Error) as error:
        raise InputError(f"{path}: is not the log of a run ({error})") from None


def plot_learning_curves(
    histories: Mapping[str, Sequence[Mapping[str, float]]], path: Path, title: str = ""
) -> None:
    """Draws test accuracy by epoch (thick) and accuracy on the given training labels (thin).

    Where training accuracy climbs and test accuracy falls, wrong labels are being memorized.

    Args:
        histories: By method, what each epoch measured: ``epoch``, ``test_accuracy`` and
            ``train_accuracy``, 0 to 1.
        path: Picture to write; the ending decides on the format.
        title: Headline of the picture.
    """
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot()
    for method, history in histories.items():
        style = METHOD_STYLES.get(method, {})
        epochs = [epoch["epoch"] for epoch in history]
        test = [epoch["test_accuracy"] for epoch in history]
        train = [epoch["train_accuracy"] for epoch in history]
        axes.plot(epochs, test, **style, linewidth=2.5, label=f"{method}, test {test[-1]:.1%}")
        axes.plot(epochs, train, **style, linewidth=0.9, label=f"{method}, training labels")
    axes.set_xlabel("epoch")
    axes.set_ylabel("accuracy (test: one shuffling)")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    if title:
        axes.set_title(title, loc="left")
    figure.savefig(path, dpi=150)
