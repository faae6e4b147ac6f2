"""What options may be chosen from, and how large they may be. Imports nothing large.

The modules that the choices belong to have them, too. They stand here so that the command line
can be read before torch is imported.
"""

from typing import Literal

#: Labels of FERPlus: the class of most votes, or of more than half of them.
LabelMode = Literal["plurality", "majority"]
#: How an image of another shape is brought to a size: stretched; cut to the largest part of that
#: shape in its centre; or whole, between black bars.
Resize = Literal["stretch", "crop", "pad"]
#: How a list writes labels: class names, or numbers of the classes in their order. ``auto``
#: decides by the list (:mod:`pyg_agfn.datasets.label_notation`).
Notation = Literal["auto", "names", "from-0", "from-1"]
#: Which training images are in a reference bank (:mod:`pyg_agfn.nn.choose_references`).
Choice = Literal["random", "class-balanced", "low-loss", "agreement"]

#: Training methods, in the order of the results' tables.
Method = Literal[
    "baseline",
    "label-smoothing",
    "gce",
    "center-loss",
    "scn",
    "eac",
    "threshold-gcn",
    "agfn",
]
#: Methods whose samples see each other.
GRAPH_METHODS: tuple[Method, ...] = ("threshold-gcn", "agfn")
#: AGFN by ``--recipe best``, in tables and pictures.
BEST = "agfn-best"
Judges = Literal["nobody", "teacher", "neighbours", "both"]
Heads = Literal["graph", "alone", "both"]

#: Most of anything that a run folder counts, and most references.
MAX_SIZE = MAX_REFERENCES = 1 << 16
#: Fewest and most pixels of an image's side.
SIDES = (4, 2048)
#: Seeds that numpy takes are at least 0 and below this.
SEED_LIMIT = 1 << 32
#: Images on a contact sheet, at most: a picture has less than 65,536 pixels a side.
MOST_ROWS = 300


def run_label(method: str, recipe: object) -> str:
    """What a run is called beside others: its method, and AGFN's other recipe :data:`BEST`."""
    return BEST if method == "agfn" and recipe == "best" else method
