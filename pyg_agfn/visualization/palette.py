"""Colours and markers that stay the same in every picture."""

from typing import Any, NamedTuple

from pyg_agfn.choices import run_label
from pyg_agfn.registry import METHODS

#: For methods from outside the package that bring no colour. The package's own methods have Okabe
#: and Ito's eight colours and Tol's indigo; these are the ones of the palettes of Wong and Tol that
#: are farthest from them and from each other, with and without colour blindness
#: (``tests/visualization``).
FURTHER_COLORS = ("#882255", "#00FFFF", "#920000", "#b66dff")
FURTHER_DASHES: tuple[Any, ...] = (
    (0, (8, 2)),
    (0, (4, 1, 1, 1, 1, 1)),
    (0, (1, 3)),
    (0, (8, 2, 2, 2)),
)

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


def method_style(name: str) -> dict[str, Any]:
    """A method's colour and dash, the same in every picture: its own, or a free one.

    Args:
        name: Of a registered method, or what one was called formerly.

    Raises:
        InputError: It is not registered.
    """
    name = run_label(name)
    own = vars(METHODS[name])  # a method that extends another one does not look like it
    if own.get("color") is not None:
        return {"color": own["color"], "linestyle": own.get("linestyle", "-")}
    place = [other for other in METHODS if METHODS.plugin_of(other)].index(name)
    return further_style(place)


def further_style(place: int) -> dict[str, Any]:
    """One of the further styles: no two of 16 have colour and dash in common."""
    dash = (place + place // len(FURTHER_COLORS)) % len(FURTHER_DASHES)
    return {
        "color": FURTHER_COLORS[place % len(FURTHER_COLORS)],
        "linestyle": FURTHER_DASHES[dash],
    }


def class_color(label: int) -> str:
    """The colour of a class; after ten classes they begin again, with other markers."""
    return CLASS_COLORS[label % len(CLASS_COLORS)]


def class_marker(label: int) -> Marker:
    """The marker of a class: no two of 40 classes have colour and marker in common."""
    return CLASS_MARKERS[(label + label // len(CLASS_COLORS)) % len(CLASS_MARKERS)]
