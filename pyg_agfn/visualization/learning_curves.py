"""Accuracy by epoch, on the given training labels and on the test images."""

import csv
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from pyg_agfn.choices import run_label
from pyg_agfn.errors import InputError, as_path
from pyg_agfn.registry import METHODS
from pyg_agfn.runs.json_files import check_file, read_json
from pyg_agfn.visualization.fonts import drawn_text
from pyg_agfn.visualization.palette import class_color, method_style


def read_history(folder: Path) -> list[dict[str, float]]:
    """The figures of each epoch of a run, from its log.

    A run without test images has no ``test_accuracy``.

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
        measured = ["test_accuracy"] if "test_accuracy" in rows[0] else []
        names = ["epoch", "train_accuracy", *measured]
        history = [{name: float(row[name]) for name in names} for row in rows]
        if not all(0 <= value < 1e9 for epoch in history for value in epoch.values()):
            raise ValueError("an accuracy is out of range")
        return history
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file; is {folder} a run?") from None
    except (OSError, KeyError, TypeError, ValueError, csv.Error) as error:
        raise InputError(f"{path}: is not the log of a run ({error})") from None


def bank_accuracy(folder: Path) -> float | None:
    """A finished run's inductive accuracy, 0 to 1; None if it is not finished or not measured.

    Raises:
        InputError: The run's metrics cannot be read.
    """
    path = folder / "metrics.json"
    if not path.exists():
        return None
    try:
        metrics = read_json(path)
        if metrics.get("test_images") == 0:
            return None
        accuracy = float(metrics["accuracy"]["bank"])
        if not 0 <= accuracy <= 1:
            raise ValueError
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: does not hold the metrics of a run") from None
    return accuracy


def plot_learning_curves(
    histories: Mapping[str, Sequence[Mapping[str, float]]],
    path: Path,
    title: str = "",
    bank: Mapping[str, float] | None = None,
) -> None:
    """Draws test accuracy by epoch (thick) and accuracy on the given training labels (thin).

    While training accuracy rises and test accuracy falls, the network memorizes wrong labels.

    Args:
        histories: By method, the figures of each epoch: ``epoch``, ``train_accuracy`` and, if it
            was measured, ``test_accuracy``, 0 to 1.
        path: Picture to write; the ending sets the format.
        title: Headline of the picture.
        bank: By method, the finished run's inductive accuracy, 0 to 1, for the legend. The curves
            are of another protocol: the test images in one shuffling.
    """
    bank = bank or {}
    with drawn_text(title, *histories) as shown:
        figure = Figure(figsize=(7, 4), layout="constrained")
        axes = figure.add_subplot()
        for number, (method, history) in enumerate(histories.items()):
            # Of several runs of one method each is called by its folder too.
            known = run_label(method)
            style = method_style(known) if known in METHODS else {"color": class_color(number)}
            epochs = [epoch["epoch"] for epoch in history]
            measured = [epoch for epoch in history if epoch.get("test_accuracy") is not None]
            test = [epoch["test_accuracy"] for epoch in measured]
            train = [epoch["train_accuracy"] for epoch in history]
            name = shown(known, 60)
            headline = f" (inductive: {bank[method]:.1%})" if method in bank else ""
            if test:
                axes.plot(epochs, test, **style, linewidth=2.5, label=f"{name}, test{headline}")
            axes.plot(epochs, train, **style, linewidth=0.9, label=f"{name}, training labels")
        axes.set_xlabel("epoch")
        axes.set_ylabel("accuracy (curve of test: one shuffling)")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.yaxis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 5, 10]))
        axes.yaxis.set_major_formatter(lambda share, _: f"{100 * share:.6g}%")
        axes.grid(alpha=0.3)
        axes.legend(frameon=False, fontsize=10 if len(histories) < 4 else 8)
        if title:
            axes.set_title(textwrap.fill(shown(title, 200), 64), loc="left")
        figure.savefig(path, dpi=150)
