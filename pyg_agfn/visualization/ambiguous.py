"""The most ambiguous test images, with the scores of several models (Figure 5)."""

import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from pyg_agfn.datasets import ImageDataset
from pyg_agfn.runs.folder import Answers
from pyg_agfn.visualization.fonts import drawn_text
from pyg_agfn.visualization.palette import class_color


@dataclass(frozen=True)
class AmbiguousImage:
    """A test image and each model's two likeliest classes.

    Attributes:
        index: Its position among the test images.
        top_two: For each model the two likeliest classes with their probabilities, likeliest first.
    """

    index: int
    top_two: dict[str, list[tuple[int, float]]]


def most_ambiguous(answers: dict[str, Answers], count: int) -> list[AmbiguousImage]:
    """The images whose two best scores by the first model are closest.

    The choice depends on the first model's scores only: not on the labels, nor on other models.

    Args:
        answers: The answers by model; the first model, the baseline, decides.
        count: Number of images.
    """
    probabilities = {name: found.logits.softmax(1) for name, found in answers.items()}
    best = next(iter(probabilities.values())).topk(2).values
    chosen = (best[:, 0] - best[:, 1]).argsort(stable=True)[:count]
    return [
        AmbiguousImage(int(i), {name: _top_two(p[i]) for name, p in probabilities.items()})
        for i in chosen
    ]


def _top_two(probabilities: Tensor) -> list[tuple[int, float]]:
    values, classes = probabilities.topk(2)
    return list(zip(classes.tolist(), values.tolist(), strict=True))


def mean_margins(answers: dict[str, Answers], chosen: Sequence[AmbiguousImage]) -> dict[str, Any]:
    """For each model, the mean distance of the two best scores and the accuracy on these images."""
    index = torch.tensor([image.index for image in chosen])
    found = {}
    for name, answer in answers.items():
        best = answer.logits[index].softmax(1).topk(2).values
        found[name] = {
            "margin": float((best[:, 0] - best[:, 1]).mean()),
            "accuracy": float(answer.correct[index].double().mean()),
        }
    return found


def plot_ambiguous(
    images: Sequence[AmbiguousImage], test: ImageDataset, paths: Sequence[Path], title: str = ""
) -> None:
    """Draws each image over its true class and the models' two best scores.

    Args:
        images: The images from :func:`most_ambiguous`.
        test: The test images.
        paths: Pictures to write; each ending sets its format.
        title: Headline of the picture.
    """
    models = list(images[0].top_two)
    columns = min(6, len(images))
    rows = -(-len(images) // columns)
    with drawn_text(title, "✓", *test.classes, *models) as shown:
        figure = Figure(figsize=(2.4 * columns, 3.9 * rows + 0.6), layout="constrained")
        heights = [2.0, 1.0 + 0.4 * len(models)] * rows
        grid = figure.subplots(2 * rows, columns, squeeze=False, height_ratios=heights)
        for axes in grid.flat:
            axes.set_axis_off()
        for number, image in enumerate(images):
            row, column = divmod(number, columns)
            top, bottom = grid[2 * row, column], grid[2 * row + 1, column]
            pixels = test.images[image.index].permute(1, 2, 0).numpy()
            top.imshow(pixels.squeeze(), cmap="gray", vmin=0, vmax=255)
            truth = int(test.true_labels[image.index])
            top.set_title(shown(test.classes[truth], 24), fontsize=13)
            _draw_scores(bottom, image, truth, test.classes, shown)
        if title:
            headline = textwrap.fill(shown(title, 200), max(24, 20 * columns))
            figure.suptitle(headline, fontsize=14)
        for path in paths:
            figure.savefig(path, dpi=110)


def _draw_scores(
    axes: Axes,
    image: AmbiguousImage,
    truth: int,
    classes: Sequence[str],
    shown: Callable[[str, int], str],
) -> None:
    """Draws two lines of text for each model, each above its bar."""
    axes.set_xlim(0, 1)
    axes.set_ylim(5.4 * len(image.top_two), 0)
    for place, (model, scores) in enumerate(image.top_two.items()):
        line = 5.4 * place + 0.6
        axes.text(0, line, shown(model, 24), va="center", fontsize=10, style="italic")
        for label, p in scores:
            right = label == truth
            text = f"{shown(classes[label], 20)} {p:.2f}{' ✓' if right else ''}"
            axes.text(0, line + 1, text, va="center", fontsize=10)
            edge = "black" if right else "none"
            axes.barh(
                line + 1.9, p, height=0.5, color=class_color(label), edgecolor=edge, linewidth=1.2
            )
            line += 2.1
