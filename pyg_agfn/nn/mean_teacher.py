"""A model whose weights are the running mean of another's.

Source: Tarvainen, Valpola, *Mean teachers are better role models*, NeurIPS 2017.
"""

import itertools
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel


def mean_teacher(model: nn.Module, decay: float = 0.99) -> AveragedModel:
    r"""A copy whose weights follow the model's by :math:`\theta' \leftarrow m \theta' + (1 - m)
    \theta`, batch normalization's statistics among them; in evaluation mode, without gradients.

    After :math:`t` updates :math:`m = \min(\text{decay}, (1 + t) / (10 + t))`, so that the first
    weights, which are random, are soon forgotten.

    Raises:
        ValueError: A decay that is not at least 0 and below 1.
    """
    if not 0 <= decay < 1:
        raise ValueError(f"decay must be at least 0 and below 1, got {decay}")
    return _MeanTeacher(model, decay).requires_grad_(False).eval()


class _MeanTeacher(AveragedModel):
    """The average, whose update is one operation on all weights and does not wait for a GPU."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        super().__init__(model, use_buffers=True)
        self.decay = decay
        self._count = 0  # n_averaged, which a GPU would have to be waited for

    @torch.no_grad()
    def update_parameters(self, model: nn.Module) -> None:
        # In float32, as in runs of which there are records.
        count, one = np.float32(self._count), np.float32(1)
        share = float(one - min((1 + count) / (10 + count), np.float32(self.decay)))
        means, values, other = [], [], []
        for mean, value in zip(_tensors(self.module), _tensors(model), strict=True):
            if self._count and mean.is_floating_point():
                means.append(mean)
                values.append(value.to(mean.device, mean.dtype))
            else:
                other.append((mean, value))
        if means:
            torch._foreach_lerp_(means, values, share)
        for mean, value in other:
            mean.copy_(value)
        self.n_averaged += 1
        self._count += 1

    def _load_from_state_dict(self, *arguments: Any, **given: Any) -> None:
        super()._load_from_state_dict(*arguments, **given)
        self._count = int(self.n_averaged)


def _tensors(model: nn.Module) -> list[torch.Tensor]:
    """Weights and statistics, without gradients."""
    found = itertools.chain(model.parameters(), model.buffers())
    return [tensor.detach() for tensor in found]
