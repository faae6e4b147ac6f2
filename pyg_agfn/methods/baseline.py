"""The paper's *Baseline*: a feature extractor and a linear classifier, trained on the labels."""

from pyg_agfn.methods.method import Method
from pyg_agfn.registry import register_method


@register_method("baseline")
class Baseline(Method):
    """Minimizes the loss of the labels as they are given; see :class:`Method`."""

    summary = "the network alone, trained on the labels as they are given"
    color = "#D55E00"
    learns_soft_labels = True
