"""What options may be chosen from, and how large they may be. Imports nothing large.

The modules that the choices belong to have them, too. They stand here so that the command line
can be read before torch is imported.
"""

from typing import Literal

#: Labels of FERPlus: the class of most votes; of more than half of them; or of more than half of
#: those that are not alone in their class (:func:`pyg_agfn.datasets.ferplus_votes.winner`).
LabelMode = Literal["plurality", "majority", "official-majority"]
#: What is learned of an image: its label, or the distribution of its raters' votes.
Targets = Literal["labels", "votes"]
#: How labels are made wrong (:mod:`pyg_agfn.datasets.noise`).
NoiseKind = Literal["symmetric", "pair", "instance"]
#: How an image of another shape is brought to a size: stretched; cut to the largest part of that
#: shape in its centre; or whole, between black bars.
Resize = Literal["stretch", "crop", "pad"]
#: How pixels between pixels are found where an image is resized. All but ``nearest`` are
#: antialiased.
Interpolation = Literal["nearest", "bilinear", "bicubic", "lanczos"]
#: How a list writes labels: class names, or numbers of the classes in their order. ``auto``
#: decides by the list (:mod:`pyg_agfn.datasets.label_notation`).
Notation = Literal["auto", "names", "from-0", "from-1"]
#: Which training images are in a reference bank (:mod:`pyg_agfn.nn.choose_references`).
Choice = Literal["random", "class-balanced", "low-loss", "agreement"]

#: How a mini-batch's graph is processed: as a dense matrix; as a PyG ``Data`` with an
#: ``edge_index``; or in tiles, for thousands of nodes (:class:`pyg_agfn.nn.AGFN`).
Propagation = Literal["dense", "edges", "tiles"]
#: Pairs whose gradient α and β get from an ``edge_index``: all, or the sampled ones.
GraphGradient = Literal["all", "sampled"]
#: From how many draws of the graph W, and α and β, get their gradients.
Descent = Literal["alternate", "joint"]
#: Whose label distribution corrects labels in the method ``agfn-nlc``.
LabelSource = Literal["given", "teacher", "neighbors", "both"]
#: What the classifier of ``agfn-nlc`` learns from: the graph's output, each image's alone, or both.
ClassifierInputs = Literal["graph", "single", "both"]
#: What updates the weights.
Optimizer = Literal["sgd", "adam", "adamw"]
#: How the learning rates of the weights fall (:mod:`pyg_agfn.training.schedule`).
Schedule = Literal["cosine", "step", "exponential", "constant"]
#: Which average of the weights is kept (:mod:`pyg_agfn.training.weight_averaging`).
WeightAveraging = Literal["none", "ema", "swa"]
#: What makes unequal classes equal: the draw of the images, or weights in the loss.
Balance = Literal["none", "sampler", "loss"]
#: Whether the backbone is compiled; ``auto`` compiles it on a GPU.
Compile = Literal["auto", "on", "off"]
#: Which epoch is kept.
Keep = Literal["last", "best"]

#: The order of the colours that weights were trained on.
InputOrder = Literal["rgb", "bgr"]

#: Most of anything that a run folder counts, and most references.
MAX_SIZE = MAX_REFERENCES = 1 << 16
#: Most plugins that a run folder names.
MAX_PLUGINS = 16
#: The data set of a run in Python on images that are no registered data set, and the backbone that
#: is a module of the user's own.
CUSTOM = "custom"
#: Fewest and most pixels of an image's side.
SIDES = (4, 2048)
#: Seeds that numpy takes are at least 0 and below this.
SEED_LIMIT = 1 << 32
#: Images on a contact sheet, at most: a picture has less than 65,536 pixels a side.
MOST_ROWS = 300

#: AGFN with corrected labels, and what it was called before version 0.2 beside other methods.
CORRECTED, OLD_CORRECTED = "agfn-nlc", "agfn-best"


def run_label(method: str, recipe: object = None) -> str:
    """What a run is called beside others: its method, by the name that it has now.

    Runs before version 0.2 have ``agfn-nlc`` as recipe ``best`` of ``agfn``.
    """
    former = method == OLD_CORRECTED or (method == "agfn" and recipe == "best")
    return CORRECTED if former else method
