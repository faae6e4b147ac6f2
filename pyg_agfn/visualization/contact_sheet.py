"""Predicted images, each with the training images that contributed to its prediction."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pyg_agfn.choices import MOST_ROWS as MOST_ROWS
from pyg_agfn.datasets.image_pixels import Pixels
from pyg_agfn.image_predictions import Prediction
from pyg_agfn.visualization.fonts import drawn_text

if TYPE_CHECKING:
    from torch import Tensor

    from pyg_agfn.runs.folder import References

#: References of an image on a sheet, at most.
MOST_REFERENCES = 40


def plot_contact_sheet(
    predictions: Sequence[Prediction], references: "References | None", path: Path
) -> None:
    """Draws a row for each image: the image, its two likeliest classes, and its references.

    Args:
        predictions: The predictions; the first :data:`MOST_ROWS` are drawn.
        references: The run's bank; None if it has none.
        path: Picture to write; the ending sets the format.
    """
    predictions = predictions[:MOST_ROWS]
    most = max((len(p.references) for p in predictions), default=0)
    columns = 2 + min(most, MOST_REFERENCES)
    rows = max(len(predictions), 1)
    names = [p.file.name for p in predictions]
    names += [name for p in predictions for name, _ in p.top_two]
    names += [reference.label for p in predictions for reference in p.references]
    with drawn_text(*names) as shown:
        figure = Figure(figsize=(1.5 * columns, 1.75 * rows), layout="constrained")
        grid = figure.subplots(rows, columns, squeeze=False)
        for axes in grid.flat:
            axes.set_axis_off()
        for row, prediction in zip(grid, predictions, strict=False):
            _show(row[0], prediction.image, shown(prediction.file.name[-22:], 44))
            lines = [f"{shown(name, 40)}  {p:.0%}" for name, p in prediction.top_two]
            lines.append(f"margin  {prediction.margin:.0%}")
            row[1].text(0, 0.5, "\n".join(lines), va="center", fontsize=9)
            if references is None or not len(references.images):  # left out of a hub's folder
                continue
            for axes, reference in zip(row[2:], prediction.references, strict=False):
                title = f"{shown(reference.label, 40)}\n{reference.weight:.1%}"
                _show(axes, references.images[reference.index], title)
        figure.savefig(path, dpi=120)


def _show(axes: Axes, image: "Tensor | Pixels", title: str) -> None:
    pixels = np.asarray(image).transpose(1, 2, 0)
    axes.imshow(pixels.squeeze(), cmap="gray", vmin=0, vmax=255)
    axes.set_title(title, fontsize=8)
