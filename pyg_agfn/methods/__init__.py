"""Training methods for labels that may be wrong."""

from pyg_agfn.methods.neighbor_correction import NeighborLabelCorrection

__all__ = ["NeighborLabelCorrection"]
