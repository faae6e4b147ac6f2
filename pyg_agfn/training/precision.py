"""The number types of a run, as arguments of Lightning Fabric."""

import platform
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from lightning.fabric.plugins import MixedPrecision


class Float16Precision(MixedPrecision):
    """Mixed precision in ``float16`` that leaves the scaling of the gradients to the caller.

    Fabric updates its own scaler at each optimizer's step, but coordinate descent has two
    optimizers a step. This class also allows ``float16`` on the CPU, where Fabric takes
    ``bfloat16``.
    """

    def __init__(self, device: str) -> None:
        super().__init__("16-mixed", device)
        self.scaler = None


def fabric_precision(precision: str, device: str) -> dict[str, Any]:
    """The arguments of Fabric for the options ``--precision`` and ``--device``.

    The device is without an index.
    """
    if precision != "fp16":
        return {"precision": {"fp32": "32-true", "bf16": "bf16-mixed"}[precision]}
    if device == "auto":
        available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
        device = next((kind for kind, there in available.items() if there), "cpu")
    return {"plugins": [Float16Precision(device)]}


def autocast(precision: str, device: torch.device) -> AbstractContextManager[object]:
    """The context in which a model of the precision answers, without a Fabric."""
    if precision == "fp32":
        return nullcontext()
    dtype = torch.bfloat16 if precision == "bf16" else torch.float16
    return torch.autocast(device.type, dtype)


def emulates_bf16() -> bool:
    """Whether this CPU has no instructions for ``bfloat16``."""
    # Those with AVX-512 or better have the instructions, or come close.
    x86 = platform.machine().lower() in ("x86_64", "amd64")
    return x86 and torch.backends.cpu.get_cpu_capability() in ("DEFAULT", "NO AVX", "AVX2")
