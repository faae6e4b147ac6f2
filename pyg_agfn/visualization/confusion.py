"""Confusion matrices."""

import textwrap
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from sklearn.metrics import ConfusionMatrixDisplay

from pyg_agfn.visualization.fonts import drawn_text

#: Most classes of a readable picture; with 1,000 classes it would have 90,000 pixels a side.
MOST_CLASSES = 60


def plot_confusion(
    confusion: Sequence[Sequence[int]], classes: Sequence[str], path: Path, title: str = ""
) -> None:
    """Draws a confusion matrix, each row as shares of its true class.

    Args:
        confusion: Images by true class (row) and predicted class (column).
        classes: Their names, at most :data:`MOST_CLASSES`.
        path: Picture to write; the ending sets the format.
        title: Headline of the picture.

    Raises:
        ValueError: There are more classes.
    """
    if len(classes) > MOST_CLASSES:
        raise ValueError(f"{len(classes)} classes, where a picture shows {MOST_CLASSES} at most")
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
        headline = shown(title, 4000) or "% of each true class"
        # About nine letters an inch. Wider characters, such as Chinese, widen the picture.
        lines = textwrap.fill(headline, int(9 * figure.get_figwidth()))
        figure.suptitle(lines, x=0.01, ha="left")
        figure.savefig(path, dpi=150, bbox_inches="tight")
