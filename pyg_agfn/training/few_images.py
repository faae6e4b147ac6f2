"""Batch size and epochs by the number of training images, where the user leaves them to defaults.

A published default is of thousands of images. For a few hundred it is one or two steps an epoch,
which ends a run before anything is learned.
"""

import dataclasses
import math
from typing import Any

from pyg_agfn.cli import flag_of
from pyg_agfn.registry import METHODS
from pyg_agfn.training.options import TrainOptions

#: Fewest steps an epoch that a default batch size leaves, down to the smallest batch.
STEPS_AN_EPOCH = 10
SMALLEST_BATCH = 16
#: Fewest steps of a run by default, where the usual batch size has fewer an epoch than that.
STEPS_A_RUN = 800
#: Fewer steps an epoch than these, by a batch size that was asked for, are worth a warning.
FEW_STEPS = 4


def fit_to_images(options: TrainOptions, num_images: int, processes: int = 1) -> TrainOptions:
    """The same options, with the defaults among them fitted to the number of training images.

    With fewer than :data:`STEPS_AN_EPOCH` steps an epoch the batch is halved, to no less than
    :data:`SMALLEST_BATCH`, and epochs are added until the run has :data:`STEPS_A_RUN` steps, the
    same share of them before the graph joins the samples. What was set stays as it is, and so does
    everything where there are images enough.

    Args:
        options: Of the run; :attr:`TrainOptions.defaulted` says what is a default.
        num_images: That are trained on.
        processes: That share a batch, each with two images or more.
    """
    free, fitted = options.defaulted, dict[str, Any]()
    if "train_size" in free and (options.train_size or 0) > num_images:
        fitted["train_size"] = None
    batch_size = options.batch_size
    if "batch_size" in free:
        batch_size = min(batch_size, _fitting_batch(num_images, processes))
    steps = max(1, num_images // batch_size)
    epochs = options.epochs
    if "epochs" in free and num_images // options.batch_size < STEPS_AN_EPOCH:
        epochs = max(epochs, math.ceil(STEPS_A_RUN / steps))
    pretrain_epochs = options.pretrain_epochs
    if "pretrain_epochs" in free:
        pretrain_epochs = pretrain_epochs * epochs // options.epochs
    fitted |= {"batch_size": batch_size, "epochs": epochs, "pretrain_epochs": pretrain_epochs}
    if all(getattr(options, name) == value for name, value in fitted.items()):
        return options
    return dataclasses.replace(options, **fitted)


def changed_defaults(usual: TrainOptions, fitted: TrainOptions) -> str:
    """What of the defaults has changed, as it is typed; empty if nothing has."""
    names = ["batch_size", "epochs"]
    if any("pretrain_epochs" in METHODS[name].options for name in usual.method):
        names.append("pretrain_epochs")
    return ", ".join(
        f"{flag_of(name)} {getattr(fitted, name)}"
        for name in names
        if getattr(usual, name) != getattr(fitted, name)
    )


def warn_of_few_steps(batch_size: int, num_images: int) -> str:
    """A line on a batch so large that an epoch has hardly a step; empty if it is not."""
    steps, smaller = max(1, num_images // batch_size), _fitting_batch(num_images)
    if steps >= FEW_STEPS or smaller >= batch_size or num_images // smaller <= steps:
        return ""
    return (
        f"--batch-size {batch_size} is {steps} step{'s' * (steps > 1)} an epoch of {num_images:,} "
        f"training images; --batch-size {smaller} has {num_images // smaller}, and learns more"
    )


def _fitting_batch(num_images: int, processes: int = 1) -> int:
    """The largest power of two that leaves steps enough, of images for each process."""
    smallest = max(SMALLEST_BATCH, 2 * processes)
    power = 1 << int(math.log2(max(num_images / STEPS_AN_EPOCH, smallest)))
    return max(power, smallest) // processes * processes
