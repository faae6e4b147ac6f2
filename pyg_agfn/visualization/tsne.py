"""Feature distributions side by side (Figures 1 and 4), as a picture and as an HTML page."""

import base64
import html
import io
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from PIL import Image
from torch import Tensor

from pyg_agfn.errors import as_path, printable
from pyg_agfn.visualization.feature_panels import Panel, PanelRow
from pyg_agfn.visualization.fonts import drawn_text
from pyg_agfn.visualization.palette import class_color, class_marker
from pyg_agfn.visualization.place_labels import place_labels

#: Most classes in the legend: colour and marker together distinguish as many.
MOST_NAMED = 40


def plot_tsne(rows: Sequence[PanelRow], paths: Sequence[Path], title: str = "") -> None:
    """Draws a panel for each run and row of images.

    A point has the colour and marker of the class that its label names. A point with a wrong label
    is a black cross on that colour. The name of each class stands at the middle of its true
    members, or near it with a line to it. If classes overlap, only the legend has their names.

    Args:
        rows: The rows from :func:`~pyg_agfn.visualization.feature_panels.compare_features`.
        paths: Pictures to write; each ending sets its format.
        title: Headline of the picture.
    """
    columns = max(len(row.panels) for row in rows)
    titles = [panel.title for row in rows for panel in row.panels]
    with drawn_text(title, *titles, *rows[0].images.classes) as shown:
        entries = _legend(rows, shown)
        width = max(3.6 * columns, 5.0)
        longest = max(len(str(entry.get_label())) for entry in entries)
        ncols = max(1, min(6, int(width / (0.09 * longest + 0.4))))
        height = 4.0 * len(rows) + 0.9 + 0.24 * (len(entries) // ncols)
        figure = Figure(figsize=(width, height), layout="constrained")
        grid = figure.subplots(len(rows), columns, squeeze=False)
        drawn: list[tuple[Axes, Panel, PanelRow]] = []
        for row, axes_row in zip(rows, grid, strict=True):
            for axes in axes_row:
                axes.set_xticks([])
                axes.set_yticks([])
            axes_row[0].set_ylabel(row.name, fontsize=14)
            for panel, axes in zip(row.panels, axes_row, strict=False):
                _draw(axes, panel, row, shown)
                drawn.append((axes, panel, row))
        figure.legend(handles=entries, loc="outside lower center", ncols=ncols, frameon=False)
        if title:
            headline = textwrap.fill(shown(title, 200), int(width / 0.12))
            figure.suptitle(headline, fontsize=15)
        figure.draw_without_rendering()  # sets the sizes of the panels
        figure.set_layout_engine("none")
        for axes, panel, row in drawn:
            _name_classes(axes, panel, row, shown)
        for path in paths:
            figure.savefig(path, dpi=110)


def _draw(axes: Axes, panel: Panel, row: PanelRow, shown: Callable[[str, int], str]) -> None:
    labels = row.images.labels.numpy()
    wrong = labels != row.images.true_labels.numpy()
    size = max(3.0, min(14.0, 16000 / len(labels)))
    x, y = panel.positions.T
    for label in np.unique(labels):
        right = ~wrong & (labels == label)
        axes.scatter(
            x[right],
            y[right],
            s=size,
            color=class_color(label),
            marker=class_marker(label).matplotlib,
            linewidths=0,
            rasterized=True,
        )
    colors = np.array([class_color(label) for label in labels])
    axes.scatter(x[wrong], y[wrong], s=3.4 * size, c="black", marker="x", linewidths=2.0)
    axes.scatter(x[wrong], y[wrong], s=1.6 * size, c=colors[wrong], marker="x", linewidths=1.1)
    name = shown(panel.title, 60)
    axes.set_title(textwrap.fill(name, 32), fontsize=14 if len(name) < 24 else 10)
    figures = panel.figures()
    lines = ["   ".join(figures[:2]), *figures[2:]] if panel.separation else figures
    axes.set_xlabel("\n".join(textwrap.fill(line, 44) for line in lines), fontsize=11)


def _name_classes(
    axes: Axes, panel: Panel, row: PanelRow, shown: Callable[[str, int], str]
) -> None:
    """Writes the names of the classes, if there is room for each near its class."""
    axes.autoscale(enable=False)  # names must not change the range of the axes
    true_labels = row.images.true_labels.numpy()
    present = np.unique(true_labels)
    # The median, because a mean can fall between two groups.
    middles = np.array([np.median(panel.positions[true_labels == k], axis=0) for k in present])
    if len(present) > MOST_NAMED:
        return
    texts = [
        axes.text(
            0,
            0,
            shown(row.images.classes[label], 16),
            ha="center",
            va="center",
            fontsize=12,
            weight="bold",
            transform=None,
            path_effects=[withStroke(linewidth=3, foreground="white")],
        )
        for label in present
    ]
    boxes = [text.get_window_extent() for text in texts]
    sizes = np.array([(box.width + 4, box.height + 2) for box in boxes])
    room = axes.get_window_extent()
    centers = axes.transData.transform(middles)
    corner = np.array((room.x0, room.y0))
    places = place_labels(centers - corner, sizes, (room.width, room.height))
    if places is not None:
        places = places + corner
        far = np.abs(places - centers) > (1.0, 2.0) * sizes
    if places is None or far.any():  # overlapping classes leave no room for names
        for text in texts:
            text.remove()
        return
    found = axes.transData.inverted().transform(places)
    for text, middle, place, moved, box in zip(
        texts, middles, found, places - centers, sizes, strict=True
    ):
        text.set_transform(axes.transData)
        text.set_position(tuple(place))
        text.set_clip_on(False)
        if (np.abs(moved) > box / 2).any():  # the name no longer covers its place
            axes.plot(*zip(middle, place, strict=True), color="black", linewidth=0.7, zorder=2.5)


def _legend(rows: Sequence[PanelRow], shown: Callable[[str, int], str]) -> list[Line2D]:
    def entry(name: str, color: str, marker: str) -> Line2D:
        return Line2D([], [], linestyle="", marker=marker, color=color, markersize=8, label=name)

    classes = rows[0].images.classes
    entries = [
        entry(shown(name, 40), class_color(label), class_marker(label).matplotlib)
        for label, name in enumerate(classes[:MOST_NAMED])
    ]
    if more := len(classes) - len(entries):
        entries.append(entry(f"... and {more:,} more", "none", ""))
    if any(bool(row.images.wrong_labels.any()) for row in rows):
        entries.append(entry("wrong label, in its colour", "black", "x"))
    return entries


def write_page(rows: Sequence[PanelRow], path: Path, title: str = "") -> None:
    """Writes the panels as one HTML file that needs no other files.

    A point shows its image and labels; a point with a wrong label has a ring. Points that are
    selected in one panel are highlighted in the others of its row. A click on the name of a class
    dims it.

    Args:
        rows: The rows from :func:`~pyg_agfn.visualization.feature_panels.compare_features`.
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
    first: list[Any] = []  # the first panel's points by class: its legend controls all panels
    for i, panel in enumerate(row.panels):
        plot = figure(
            width=500 if i == 0 else 420,
            height=440,
            title=f"{panel.title}: {', '.join(panel.figures())}",
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
                marker=class_marker(label).bokeh,
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
    """An image (C, H, W) as a data URL."""
    pixels = image.permute(1, 2, 0).numpy()
    file = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
