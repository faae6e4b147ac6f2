"""Confusion matrices."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from sklearn.metrics import ConfusionMatrixDisplay

from pyg_agfn.visualization.fonts import drawn_text


def plot_confusion(
    confusion: Sequence[Sequence[int]], classes: Sequence[str], path: Path, title: str = ""
) -> None:
    """Draws a confusion matrix, each row as shares of its true class.

    Args:
        confusion: Images by true class (row) and predicted class (column).
        classes: Their names.
        path: Picture to write; the ending decides on the format.
        title: Headline of the picture.
    """
    side = 2.5 + 0.6 * len(classes)
    shares = [[100 * n / max(sum(row), 1) for n in row] for row in confusion]
    with drawn_text(title, *classes) as shown:
        figure = Figure(figsize=(side + 0.8, side), layout="constrained")
        axes = figure.add_subplot()
        display = ConfusionMatrixDisplay(
            np.array(shares), display_labels=[shown(name, 40) for name in classes]
        )
        display.plot(
            ax=axes, cmap="cividis", values_format=".0f", xticks_rotation=45, colorbar=False
        )
        axes.set_title(shown(title, 200) or "% of each true class", loc="left")
        figure.savefig(path, dpi=150)
