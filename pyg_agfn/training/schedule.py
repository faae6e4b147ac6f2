"""Learning rate schedules of the weights, as a factor of the learning rate by step."""

import math

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from pyg_agfn.training.options import TrainOptions

#: Factor each epoch, as SCN and EAC have it (their authors' code).
EXPONENTIAL_GAMMA = 0.9
#: Factor at each milestone.
STEP_GAMMA = 0.1


def make_schedule(optimizer: Optimizer, options: TrainOptions, num_steps: int) -> LambdaLR:
    r"""The schedule of the options; it multiplies the learning rate of each group.

    In the warm-up of :math:`w` steps, step :math:`t` from 0 has the factor :math:`(t + 1) / w`.
    With :math:`T` steps it then is, for

    - ``cosine`` :math:`(1 + \cos(\pi (t - w) / (T - w))) / 2`,
    - ``step`` :math:`\gamma^m` after :math:`m` milestones,
    - ``exponential`` :math:`\gamma^e` after :math:`e` epochs since the warm-up,
    - ``constant`` 1.

    All are functions of the step, which is all that a checkpoint needs to keep. So one class of
    PyTorch is enough for them.

    Args:
        optimizer: Of the weights.
        options: The schedule with its settings, epochs and warm-up.
        num_steps: Of the whole run.
    """
    warmup = num_steps * options.warmup_epochs // options.epochs
    milestones = [epoch * num_steps // options.epochs for epoch in options.milestones] or [
        -(-2 * num_steps // 3),
        -(-5 * num_steps // 6),
    ]

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        if options.schedule == "cosine":
            return (1 + math.cos(math.pi * (step - warmup) / (num_steps - warmup))) / 2
        if options.schedule == "step":
            gamma = STEP_GAMMA if options.gamma is None else options.gamma
            return gamma ** sum(step >= milestone for milestone in milestones)
        if options.schedule == "exponential":
            gamma = EXPONENTIAL_GAMMA if options.gamma is None else options.gamma
            return gamma ** ((step - warmup) * options.epochs // num_steps)
        return 1.0

    return LambdaLR(optimizer, factor)
