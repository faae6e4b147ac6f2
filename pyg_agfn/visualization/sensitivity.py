"""Accuracy by batch size, and by backbone with and without AGFN (Figure 3)."""

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pyg_agfn.visualization.palette import CLASS_MARKERS, method_style

#: Accuracies by method and batch size, or by method and backbone; one for each seed.
BySize = Mapping[str, Mapping[int, Sequence[float]]]
ByBackbone = Mapping[str, Mapping[str, Sequence[float]]]


def plot_sensitivity(
    by_batch: BySize, by_backbone: ByBackbone, paths: Sequence[Path], title: str = ""
) -> None:
    """Draws both sides of Figure 3: inductive accuracy as dots, with lines over the range of seeds.

    Args:
        by_batch: Accuracies, 0 to 1, by method and batch size.
        by_backbone: Accuracies, 0 to 1, by method and backbone.
        paths: Pictures to write; each ending sets its format.
        title: Headline of the picture.
    """
    figure = Figure(figsize=(11, 4.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    for method, sizes in by_batch.items():
        ordered = sorted(sizes)
        means = [100 * statistics.mean(sizes[size]) for size in ordered]
        left.plot(ordered, means, marker="o", label=method, linewidth=2.5, **method_style(method))
        for size in ordered:
            _range(left, size, sizes[size])
    left.set_xscale("log", base=2)
    if by_batch:
        ticks = sorted({size for sizes in by_batch.values() for size in sizes})
        left.set_xticks(ticks, [str(size) for size in ticks])
    left.set_xlabel("batch size", fontsize=13)
    left.set_ylabel("inductive accuracy, %", fontsize=13)
    if by_batch:
        left.legend(frameon=False, fontsize=12)
    left.grid(alpha=0.3)

    # Dots, because bars that do not begin at 0 would show wrong proportions.
    names = list(dict.fromkeys(name for found in by_backbone.values() for name in found))
    step = 0.5 / max(len(by_backbone), 1)
    for place, (method, found) in enumerate(by_backbone.items()):
        style = {**method_style(method), "linestyle": ""}
        marker = CLASS_MARKERS[place % len(CLASS_MARKERS)].matplotlib
        columns = [position for position, name in enumerate(names) if name in found]
        shift = (place - (len(by_backbone) - 1) / 2) * step
        means = [100 * statistics.mean(found[names[position]]) for position in columns]
        xs = [position + shift for position in columns]
        right.plot(xs, means, marker=marker, markersize=9, label=method, **style)
        for x, mean, position in zip(xs, means, columns, strict=True):
            _range(right, x, found[names[position]])
            right.annotate(
                f"{mean:.1f}", (x, mean), (8, 0), textcoords="offset points", va="center"
            )
    right.set_xticks(range(len(names)), names, fontsize=12)
    right.margins(x=0.2, y=0.15)
    right.grid(alpha=0.3, axis="y")
    if by_backbone:
        right.legend(frameon=False, fontsize=12)
    if title:
        figure.suptitle(title, fontsize=14)
    for path in paths:
        figure.savefig(path, dpi=110)


def _range(axes: Axes, x: float, accuracies: Sequence[float]) -> None:
    """Draws a line from the lowest to the highest accuracy of the seeds."""
    if len(accuracies) > 1:
        low, high = 100 * min(accuracies), 100 * max(accuracies)
        axes.plot([x, x], [low, high], color="black", linewidth=1.2)
