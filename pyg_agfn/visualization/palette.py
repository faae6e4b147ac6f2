"""Colours and markers that stay the same in every picture."""

from typing import Any, NamedTuple

#: Okabe and Ito's eight colours and Tol's indigo, told apart in grey and by colour-blind readers;
#: and a dash for each.
METHOD_STYLES: dict[str, dict[str, Any]] = {
    "baseline": {"color": "#D55E00", "linestyle": "-"},
    "label-smoothing": {"color": "#F0E442", "linestyle": "-."},
    "gce": {"color": "#000000", "linestyle": ":"},
    "center-loss": {"color": "#CC79A7", "linestyle": "--"},
    "scn": {"color": "#009E73", "linestyle": "-."},
    "eac": {"color": "#56B4E9", "linestyle": "--"},
    "threshold-gcn": {"color": "#E69F00", "linestyle": "--"},
    "agfn": {"color": "#0072B2", "linestyle": "-"},
    "agfn-best": {"color": "#332288", "linestyle": "-"},
}

#: Ten colours for classes, of the palettes of Okabe and Ito, Tol, and Wong: those whose closest
#: two are farthest apart, with and without red-green blindness (``tests/visualization``).
CLASS_COLORS = (
    "#006ddb",
    "#d55e00",
    "#009e73",
    "#aa4499",
    "#ddcc77",
    "#661100",
    "#004949",
    "#000099",
    "#aadd00",
    "#ffb6db",
)


class Marker(NamedTuple):
    """A marker, as matplotlib and as Bokeh call it."""

    matplotlib: str
    bokeh: str


CLASS_MARKERS = (
    Marker("o", "circle"),
    Marker("s", "square"),
    Marker("^", "triangle"),
    Marker("D", "diamond"),
)


def class_color(label: int) -> str:
    """The colour of a class; after ten classes they begin again, with other markers."""
    return CLASS_COLORS[label % len(CLASS_COLORS)]


def class_marker(label: int) -> Marker:
    """The marker of a class: no two of 40 classes have colour and marker in common."""
    return CLASS_MARKERS[(label + label // len(CLASS_COLORS)) % len(CLASS_MARKERS)]
