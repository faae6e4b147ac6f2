"""Colours and markers that stay the same in every picture."""

from typing import Any

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

#: Ten colours for classes, made to be told apart by colour-blind readers and in grey: Petroff,
#: *Accessible Color Sequences for Data Visualization*, 2021.
CLASS_COLORS = (
    "#3f90da",
    "#ffa90e",
    "#bd1f01",
    "#94a4a2",
    "#832db6",
    "#a96b59",
    "#e76300",
    "#b9ac70",
    "#717581",
    "#92dadd",
)


def class_color(label: int) -> str:
    """The colour of a class; after ten classes they begin again."""
    return CLASS_COLORS[label % len(CLASS_COLORS)]
