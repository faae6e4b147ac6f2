"""Options of the optimization: batches, optimizers, learning rates, and which weights are kept."""

from dataclasses import dataclass
from typing import Literal

from pyg_agfn.choices import Balance, Keep, Optimizer, Schedule, WeightAveraging
from pyg_agfn.training.option_field import option


@dataclass(frozen=True, kw_only=True)
class OptimizationOptions:
    """The part of :class:`~pyg_agfn.training.TrainOptions` that says how weights are found."""

    batch_size: int = option(
        256,
        "images a step, of all processes, and nodes a graph; fewer by default for few images",
        "optimization",
    )
    balance: Balance = option(
        "none",
        "unequal classes: sampler draws each class equally often, with replacement; loss weighs an "
        "image by the inverse of its class's images. The labels as given are counted",
        "optimization",
    )
    epochs: int = option(
        40,
        "passes over the training images, pre-training included; more by default for few images",
        "optimization",
    )
    warmup_epochs: int = option(
        0,
        "epochs in which the learning rate of W rises, where its first steps are too large",
        "optimization",
    )
    optimizer: Optimizer = option("sgd", "what updates W", "optimization")
    lr: float = option(
        0.01,
        "learning rate of W, gamma_1 of Eq. 9; with --optimizer adam and adamw 0.001",
        "optimization",
    )
    lr_backbone: float | None = option(
        None, "learning rate of the backbone, where it is not --lr", "optimization"
    )
    freeze_epochs: int = option(
        0,
        "first epochs in which the backbone rests, its batch normalization in evaluation mode",
        "optimization",
    )
    schedule: Schedule = option(
        "cosine",
        "how the learning rates of W fall: to 0 as a cosine; in steps; by a factor each epoch; or "
        "not at all",
        "optimization",
    )
    milestones: tuple[int, ...] = option(
        (),
        "--schedule step: epochs after which the learning rate falls; if not given two thirds and "
        "five sixths of the run",
        "optimization",
    )
    gamma: float | None = option(
        None,
        "factor of the learning rate: each epoch with --schedule exponential (0.9 if not given), "
        "at each milestone with step (0.1)",
        "optimization",
    )
    lr_graph: float = option(
        0.001,
        "learning rate of alpha and beta, gamma_2 of Eq. 11; of agfn-nlc 0.02",
        "optimization",
    )
    graph_optimizer: Literal["sgd", "adam"] = option(
        "sgd", "what updates alpha and beta", "optimization", hidden=True
    )
    momentum: float = option(0.9, "momentum of W, with --optimizer sgd", "optimization")
    weight_decay: float = option(
        5e-4, "weight decay of W; with --optimizer adamw 0.01", "optimization"
    )
    weight_averaging: WeightAveraging = option(
        "none",
        "an average of the weights that is measured and kept: a running mean of all steps (ema), "
        "or the mean over the last quarter of the epochs (swa)",
        "optimization",
    )
    ema_decay: float = option(0.999, "--weight-averaging ema: decay of the mean", "optimization")
    keep: Keep = option(
        "last",
        "the epoch whose weights are kept: best is that of the highest accuracy on the images of "
        "--val-fraction",
        "optimization",
    )
    precision: Literal["fp32", "bf16", "fp16"] = option(
        "fp32",
        "bf16: mixed precision; fp16: the same for GPUs that are slow with bf16",
        "optimization",
    )
