"""Feature distributions side by side (Figures 1 and 4), as a picture and as a page."""

import base64
import html
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from PIL import Image
from torch import Tensor

from pyg_agfn.errors import as_path, printable
from pyg_agfn.visualization.feature_panels import Panel, PanelRow
from pyg_agfn.visualization.palette import class_color


@rc_context({"text.parse_math": False})  # a $ in a name is a $
def plot_tsne(rows: Sequence[PanelRow], paths: Sequence[Path], title: str = "") -> None:
    """Draws a panel for each run and row of images.

    A point has the colour of the class that its label names; one whose label is wrong is a black
    cross on that colour. Each class's name stands at the middle of its true members.

    Args:
        rows: What :func:`~pyg_agfn.visualization.feature_panels.compare_features` found.
        paths: Pictures to write; each ending decides on its format.
        title: Headline of the picture.
    """
    columns = max(len(row.panels) for row in rows)
    figure = Figure(figsize=(3.6 * columns, 4.0 * len(rows) + 0.9), layout="constrained")
    grid = figure.subplots(len(rows), columns, squeeze=False)
    for row, axes_row in zip(rows, grid, strict=True):
        for axes in axes_row:
            axes.set_xticks([])
            axes.set_yticks([])
        axes_row[0].set_ylabel(row.name, fontsize=14)
        for panel, axes in zip(row.panels, axes_row, strict=False):
            _draw(axes, panel, row)
    figure.legend(handles=_legend(rows), loc="outside lower center", ncols=6, frameon=False)
    if title:
        figure.suptitle(printable(title), fontsize=15)
    for path in paths:
        figure.savefig(path, dpi=110)


def _draw(axes: Axes, panel: Panel, row: PanelRow) -> None:
    labels, true_labels = row.images.labels.numpy(), row.images.true_labels.numpy()
    wrong = labels != true_labels
    colors = np.array([class_color(label) for label in labels])
    size = max(3.0, min(14.0, 16000 / len(labels)))
    x, y = panel.positions.T
    axes.scatter(x[~wrong], y[~wrong], s=size, c=colors[~wrong], linewidths=0, rasterized=True)
    axes.scatter(x[wrong], y[wrong], s=3.4 * size, c="black", marker="x", linewidths=1.6)
    axes.scatter(x[wrong], y[wrong], s=1.6 * size, c=colors[wrong], marker="x", linewidths=0.8)
    for label in np.unique(true_labels):
        # The median: a mean can fall between two groups.
        middle = np.median(panel.positions[true_labels == label], axis=0)
        name = printable(row.images.classes[label], 40)
        text = axes.text(
            middle[0], middle[1], name, ha="center", va="center", fontsize=12, weight="bold"
        )
        text.set_path_effects([withStroke(linewidth=3, foreground="white")])
    found = panel.separation
    axes.set_title(panel.title, fontsize=14)
    axes.set_xlabel(
        f"intra/inter {found.variance_ratio:.2f}   silhouette {found.silhouette:.2f}\n"
        f"10-NN {found.neighbour_agreement:.1%}",
        fontsize=11,
    )


def _legend(rows: Sequence[PanelRow]) -> list[Line2D]:
    def entry(name: str, color: str, marker: str) -> Line2D:
        return Line2D([], [], linestyle="", marker=marker, color=color, markersize=8, label=name)

    classes = rows[0].images.classes
    entries = [
        entry(printable(name, 40), class_color(label), "o") for label, name in enumerate(classes)
    ]
    if any(bool(row.images.wrong_labels.any()) for row in rows):
        entries.append(entry("wrong label, in its colour", "black", "x"))
    return entries


def write_page(rows: Sequence[PanelRow], path: Path, title: str = "") -> None:
    """Writes the same as one HTML file that needs nothing else.

    A point shows its image and labels, one with a wrong label has a ring; what is selected in one
    panel is lit in the others of its row; a class is dimmed by a click on its name.

    Args:
        rows: What :func:`~pyg_agfn.visualization.feature_panels.compare_features` found.
        path: File to write.
        title: Headline of the page.
    """
    from bokeh.embed import file_html
    from bokeh.layouts import column, gridplot
    from bokeh.models.widgets import Div
    from bokeh.resources import INLINE

    title = printable(title)
    blocks: list[Any] = [Div(text=f"<h2>{html.escape(title)}</h2>")] if title else []
    for row in rows:
        blocks.append(Div(text=f"<h3>{row.name}</h3>"))
        blocks.append(gridplot([_interactive_panels(row)], toolbar_location="right"))
    as_path(path, "path").write_text(
        file_html(column(*blocks), INLINE, title or "t-SNE"), encoding="utf-8"
    )


def _interactive_panels(row: PanelRow) -> list[Any]:
    from bokeh.models import CDSView, ColumnDataSource, GroupFilter, HoverTool
    from bokeh.models.annotations import Legend, LegendItem
    from bokeh.plotting import figure

    images = row.images
    names = np.array(images.classes)
    labels, true_labels = images.labels.numpy(), images.true_labels.numpy()
    wrong = labels != true_labels
    data: dict[str, Any] = {
        "image": [_as_png(image) for image in images.images],
        "name": images.names,
        "label": names[labels].tolist(),
        "true": names[true_labels].tolist(),
        "wrong": np.where(wrong, "  (wrong label)", "").tolist(),
        "edge": np.where(wrong, "black", "rgba(0,0,0,0)").tolist(),
        "size": np.where(wrong, 8, 5).tolist(),
    }
    for i, panel in enumerate(row.panels):
        data[f"x{i}"], data[f"y{i}"] = panel.positions.T.tolist()
    source = ColumnDataSource(data)
    tooltip = (
        '<div><img src="@image" style="width:96px;image-rendering:pixelated"><br>'
        "<b>@label</b>@wrong<br>true class @true<br>@name</div>"
    )
    plots: list[Any] = []
    first: list[Any] = []  # the first panel's points, class by class: its legend rules them all
    for i, panel in enumerate(row.panels):
        found = panel.separation
        plot = figure(
            width=500 if i == 0 else 420,
            height=440,
            title=f"{panel.title}: intra/inter {found.variance_ratio:.2f}, silhouette "
            f"{found.silhouette:.2f}, 10-NN {found.neighbour_agreement:.1%}",
            tools="pan,wheel_zoom,box_select,lasso_select,tap,reset,save",
            active_scroll="wheel_zoom",
        )
        plot.axis.visible = False
        plot.grid.visible = False
        points: list[Any] = [
            plot.scatter(
                f"x{i}",
                f"y{i}",
                source=source,
                view=CDSView(filter=GroupFilter(column_name="label", group=name)),
                size="size",
                color=class_color(label),
                line_color="edge",
                alpha=0.9,
                muted_alpha=0.05,
                nonselection_alpha=0.08,
            )
            for label, name in enumerate(images.classes)
        ]
        if first:
            for leader, follower in zip(first, points, strict=True):
                leader.js_link("muted", follower, "muted")
        else:
            first = points
            items = [
                LegendItem(label=name, renderers=[renderer])
                for name, renderer in zip(images.classes, points, strict=True)
            ]
            plot.add_layout(Legend(items=items, click_policy="mute"), "left")
        plot.add_tools(HoverTool(tooltips=tooltip))
        plots.append(plot)
    return plots


def _as_png(image: Tensor) -> str:
    """An image (C, H, W) as an address that holds it."""
    pixels = image.permute(1, 2, 0).numpy()
    file = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
