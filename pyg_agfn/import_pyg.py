"""Imports PyG without a warning: it scripts functions while it loads, which torch deprecates.

Whatever needs PyG imports this first.
"""

import warnings

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", message=".*torch.jit.script.*")
    import torch_geometric  # noqa: F401
