"""Neighbour label correction: the labels of an image's neighbours correct its own.

A batch passes through in this order: :mod:`memory of past batches <pyg_agfn.nn.cross_batch_memory>`
→ posterior of the neighbours → :mod:`disagreement and targets
<pyg_agfn.methods.neighbor_correction.targets>`, limited by :mod:`how many labels are wrong
<pyg_agfn.methods.neighbor_correction.issue_rate>`. :mod:`The module
<pyg_agfn.methods.neighbor_correction.correction>` joins them.
"""

from pyg_agfn.methods.neighbor_correction.correction import (
    CorrectedLabels,
    NeighborLabelCorrection,
)
from pyg_agfn.methods.neighbor_correction.issue_rate import estimate_issue_rate
from pyg_agfn.methods.neighbor_correction.targets import (
    correct_labels,
    disagreement,
    label_disagreement,
    posterior_reliability,
    threshold_of_share,
)

__all__ = [
    "CorrectedLabels",
    "NeighborLabelCorrection",
    "correct_labels",
    "disagreement",
    "estimate_issue_rate",
    "label_disagreement",
    "posterior_reliability",
    "threshold_of_share",
]
