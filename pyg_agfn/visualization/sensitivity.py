"""Accuracy by batch size, and by backbone with and without AGFN (Figure 3)."""

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pyg_agfn.visualization.palette import METHOD_STYLES

#: Accuracies, one a seed, by method and batch size or backbone.
BySize = Mapping[str, Mapping[int, Sequence[float]]]
ByBackbone = Mapping[str, Mapping[str, Sequence[float]]]


def plot_sensitivity(
    by_batch: BySize, by_backbone: ByBackbone, paths: Sequence[Path], title: str = ""
) -> None:
    """Draws both sides of Figure 3; bars of accuracy by the bank, lines over the seeds' range.

    Args:
        by_batch: Accuracies, 0 to 1, by method and batch size.
        by_backbone: Accuracies, 0 to 1, by method and backbone.
        paths: Pictures to write; each ending decides on its format.
        title: Headline of the picture.
    """
    figure = Figure(figsize=(11, 4.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    for method, sizes in by_batch.items():
        ordered = sorted(sizes)
        means = [100 * statistics.mean(sizes[size]) for size in ordered]
        left.plot(ordered, means, marker="o", label=method, linewidth=2.5, **METHOD_STYLES[method])
        for size in ordered:
            _range(left, size, sizes[size])
    left.set_xscale("log", base=2)
    if by_batch:
        ticks = sorted({size for sizes in by_batch.values() for size in sizes})
        left.set_xticks(ticks, [str(size) for size in ticks])
    left.set_xlabel("batch size", fontsize=13)
    left.set_ylabel("accuracy by the bank, %", fontsize=13)
    left.legend(frameon=False, fontsize=12)
    left.grid(alpha=0.3)

    names = list(dict.fromkeys(name for found in by_backbone.values() for name in found))
    width = 0.8 / max(len(by_backbone), 1)
    lowest = 100.0
    for place, (method, found) in enumerate(by_backbone.items()):
        for position, name in enumerate(names):
            if name not in found:
                continue
            x = position + (place - (len(by_backbone) - 1) / 2) * width
            mean = 100 * statistics.mean(found[name])
            lowest = min(lowest, mean)
            color = METHOD_STYLES[method]["color"]
            hatch = "//" if method == "agfn" else ""
            right.bar(x, mean, 0.92 * width, color=color, hatch=hatch, edgecolor="white")
            right.text(x, mean, f"{mean:.1f}", ha="center", va="bottom", fontsize=11)
            _range(right, x, found[name])
    right.set_xticks(range(len(names)), names, fontsize=12)
    right.set_ylim(max(0.0, lowest - 8), None)  # the axis does not begin at 0: the figures stand
    if title:
        figure.suptitle(title, fontsize=14)
    for path in paths:
        figure.savefig(path, dpi=110)


def _range(axes: Axes, x: float, accuracies: Sequence[float]) -> None:
    """A line from the lowest to the highest seed."""
    if len(accuracies) > 1:
        low, high = 100 * min(accuracies), 100 * max(accuracies)
        axes.plot([x, x], [low, high], color="black", linewidth=1.2)
