"""The most ambiguous test images, and how sure two models are of them (Figure 5)."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from torch import Tensor

from pyg_agfn.datasets import ImageDataset
from pyg_agfn.run_folder import Answers
from pyg_agfn.visualization.palette import class_color


@dataclass(frozen=True)
class AmbiguousImage:
    """A test image and each model's two likeliest classes.

    Attributes:
        index: Among the test images.
        top_two: By model, class and probability, the likeliest first.
    """

    index: int
    top_two: dict[str, list[tuple[int, float]]]


def most_ambiguous(answers: dict[str, Answers], count: int) -> list[AmbiguousImage]:
    """The images of which the first model's two best scores are closest.

    The choice looks at the first model's scores alone: not at the labels, not at the other models.

    Args:
        answers: By model; the first one, the baseline, decides.
        count: Images wanted.
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
    """By model: mean distance of the two best scores, and accuracy, on the chosen images."""
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
        images: What :func:`most_ambiguous` found.
        test: The test images.
        paths: Pictures to write; each ending decides on its format.
        title: Headline of the picture.
    """
    models = list(images[0].top_two)
    columns = min(6, len(images))
    rows = -(-len(images) // columns)
    figure = Figure(figsize=(2.4 * columns, 3.6 * rows + 0.6), layout="constrained")
    heights = [2.0, 1.0 + 0.25 * len(models)] * rows
    grid = figure.subplots(2 * rows, columns, squeeze=False, height_ratios=heights)
    for axes in grid.flat:
        axes.set_axis_off()
    for number, image in enumerate(images):
        row, column = divmod(number, columns)
        top, bottom = grid[2 * row, column], grid[2 * row + 1, column]
        truth = int(test.true_labels[image.index])
        pixels = test.images[image.index].permute(1, 2, 0).numpy()
        top.imshow(pixels.squeeze(), cmap="gray", vmin=0, vmax=255)
        top.set_title(test.classes[truth], fontsize=13)
        bottom.set_xlim(0, 1)
        bottom.set_ylim(3 * len(models) - 0.2, -1)
        for place, model in enumerate(models):
            bottom.text(0, 3 * place - 0.45, model, fontsize=10, style="italic")
            for line, (label, p) in enumerate(image.top_two[model]):
                y = 3 * place + 0.25 + line * 0.95
                right = label == truth
                bottom.barh(
                    y,
                    p,
                    height=0.8,
                    color=class_color(label),
                    edgecolor="black" if right else "none",
                    linewidth=1.6,
                )
                text = f"{test.classes[label]} {p:.2f}{' ✓' if right else ''}"
                written = bottom.text(0.02, y, text, va="center", fontsize=10)
                written.set_path_effects([withStroke(linewidth=2.5, foreground="white")])
    if title:
        figure.suptitle(title, fontsize=14)
    for path in paths:
        figure.savefig(path, dpi=110)
