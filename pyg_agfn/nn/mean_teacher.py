"""A model whose weights are the running mean of another's.

Source: Tarvainen, Valpola, *Mean teachers are better role models*, NeurIPS 2017.
"""

from typing import Any

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
    teacher = AveragedModel(model, multi_avg_fn=_RunningMean(decay), use_buffers=True)
    return teacher.requires_grad_(False).eval()


class _RunningMean:
    """The update as an object: one that is a closure could not be pickled with its model."""

    def __init__(self, decay: float) -> None:
        self.decay = decay

    @torch.no_grad()
    def __call__(self, averaged: Any, current: Any, count: Any) -> None:
        share = 1 - ((1 + count) / (10 + count)).clamp(max=self.decay)
        for mean, value in zip(averaged, current, strict=True):
            if mean.is_floating_point():
                mean.lerp_(value, share.to(mean.dtype))
            else:
                mean.copy_(value)
