"""What takes the gradient of a draw, and how much of it (Eq. 11 and 14)."""

from typing import Any

import torch
from torch import Tensor

from pyg_agfn.transforms.checks import is_exporting


class _StraightThrough(torch.autograd.Function):
    # In place of `sample + target - target.detach()`: no rounding, and no inf - inf.
    generate_vmap_rule = True

    @staticmethod
    def forward(sample: Tensor, target: Tensor) -> Tensor:
        return sample.view_as(sample)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[None, Tensor]:  # type: ignore[override]
        return None, grad.sum(0)


def straight_through(sample: Tensor, target: Tensor) -> Tensor:
    r"""``sample`` forward; backward, ``target`` takes its gradient unchanged (Eq. 14).

    Every pair passes its gradient on, joined or not.

    Shapes:
        - **sample:** :math:`(S, |\mathcal{V}|, |\mathcal{V}|)`
        - **target:** :math:`(|\mathcal{V}|, |\mathcal{V}|)`, whose gradient is the sum over S
    """
    if is_exporting():
        # An exported program keeps the forward pass of a function only, and would train alpha and
        # beta with no gradient in silence.
        return sample + (target - target.detach())
    straight: Tensor = _StraightThrough.apply(sample, target)
    return straight


def scale_gradient(parameter: Tensor, scale: Tensor) -> Tensor:
    """The parameter's own value; its gradient is multiplied by ``scale``."""
    fixed = parameter.detach()
    return fixed + (parameter - fixed) * scale
