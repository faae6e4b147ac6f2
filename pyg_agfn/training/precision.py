"""In which number types a run computes, as Lightning Fabric is told."""

from typing import Any

import torch
from lightning.fabric.plugins import MixedPrecision


class Float16Precision(MixedPrecision):
    """Mixed precision in ``float16`` that leaves the scaling of the gradients to the caller.

    Fabric's own scaler is updated with each optimizer's step, and coordinate descent has two
    optimizers a step. On the CPU, too, for which Fabric takes ``bfloat16`` instead.
    """

    def __init__(self, device: str) -> None:
        super().__init__("16-mixed", device)
        self.scaler = None


def fabric_precision(precision: str, device: str) -> dict[str, Any]:
    """Arguments of Fabric for an option ``--precision`` and ``--device``, without an index."""
    if precision != "fp16":
        return {"precision": {"fp32": "32-true", "bf16": "bf16-mixed"}[precision]}
    if device == "auto":
        available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
        device = next((kind for kind, there in available.items() if there), "cpu")
    return {"plugins": [Float16Precision(device)]}
