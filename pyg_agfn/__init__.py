"""Adaptive Graph-based Feature Normalization (AGFN) for PyTorch Geometric."""

__version__ = "0.1.0"
