"""Adaptive Graph-based Feature Normalization (AGFN) for PyTorch Geometric."""

import warnings

with warnings.catch_warnings():
    # Imported here once: PyG scripts functions while it loads, and newer torch deprecates that.
    warnings.filterwarnings("ignore", message=".*torch.jit.script.*")
    import torch_geometric  # noqa: F401

__version__ = "0.1.0"
