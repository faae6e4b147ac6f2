"""What an argument must be; what is not gets one line that names it."""

import math
from contextlib import AbstractContextManager, nullcontext
from numbers import Integral, Real

import torch
from torch import Tensor


def check_count(name: str, value: object) -> None:
    """Refuses what is no integer of at least 1; ``True`` is none."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
        raise ValueError(f"{name} must be an integer of at least 1, got {value!r}")


def check_number(name: str, value: object) -> None:
    """Refuses what is no finite number. A tensor is none: its gradient would be lost in silence."""
    if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value):
        raise ValueError(f"{name} must be a finite number, got {value!r}")


def check_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    """Refuses what is not among the choices."""
    if value not in choices:
        raise ValueError(f"{name} must be one of {choices}, got {value!r}")


def check_features(name: str, x: object, num_features: int | None = None) -> None:
    r"""Refuses what is no dense matrix of floats, :math:`(N, F)`."""
    if (
        not isinstance(x, Tensor)
        or x.is_nested
        or x.layout != torch.strided
        or x.dim() != 2
        or not x.is_floating_point()
        or num_features not in (None, x.size(1))
    ):
        raise ValueError(
            f"{name} must be a dense floating-point tensor of shape "
            f"[N, {num_features or 'F'}], got {describe(x)}"
        )


def check_labels(name: str, labels: object, x: Tensor) -> None:
    r"""Refuses what is no integer for each row of ``x``, :math:`(N)`, on the device of ``x``."""
    if (
        not isinstance(labels, Tensor)
        or labels.shape != x.shape[:1]
        or labels.dtype == torch.bool
        or labels.is_floating_point()
        or labels.is_complex()
        or labels.device != x.device
    ):
        raise ValueError(
            f"{name} must be a tensor of integers of shape [{len(x)}] on {x.device}, "
            f"got {describe(labels)}"
        )


def check_nodes(x: Tensor, batch: Tensor | None) -> None:
    r"""Refuses features or graphs of nodes that cannot be right, :math:`(N, F)` and :math:`(N)`."""
    check_features("x", x)
    if batch is not None:
        check_labels("batch", batch, x)


def describe(x: object) -> str:
    """A tensor's type and shape; of anything else its ``repr``, or its type if that is long."""
    if not isinstance(x, Tensor):
        return repr(x) if len(repr(x)) < 80 else type(x).__name__
    if x.is_nested:
        return f"a nested tensor of {x.dtype}"
    layout = "" if x.layout == torch.strided else f"{x.layout} "
    device = "" if x.device.type == "cpu" else f" on {x.device}"
    return f"{layout}{x.dtype} of shape {list(x.shape)}{device}"


def is_exporting() -> bool:
    """Whether :func:`torch.export.export` follows what is computed."""
    known = getattr(torch.compiler, "is_exporting", torch.compiler.is_compiling)
    return bool(known())


def without_autocast(device: torch.device) -> AbstractContextManager[object]:
    """Autocast switched off; tensors without numbers have none."""
    if device.type == "meta":  # asking PyTorch for it could not be compiled in 2.4
        return nullcontext()
    return torch.autocast(device.type, enabled=False)
