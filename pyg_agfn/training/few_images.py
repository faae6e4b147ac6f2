"""Default batch size, epochs and memory for small data sets.

The published defaults are for thousands of images. With a few hundred images they give one or two
steps an epoch, and the run ends before the network has learned anything.
"""

import dataclasses
import math
from typing import Any

from pyg_agfn.cli import flag_of
from pyg_agfn.registry import METHODS
from pyg_agfn.training.options import TrainOptions

#: Fewest steps an epoch with a default batch size. The batch is halved to reach them, down to the
#: smallest batch.
STEPS_AN_EPOCH = 10
SMALLEST_BATCH = 16
#: Fewest steps of a run by default, if the usual batch size gives fewer steps an epoch than above.
STEPS_A_RUN = 800
#: If a batch size that the user set gives fewer steps an epoch than this, there is a warning.
FEW_STEPS = 4


def fit_to_images(options: TrainOptions, num_images: int, processes: int = 1) -> TrainOptions:
    """The options, with their defaults adapted to the number of training images.

    With fewer than :data:`STEPS_AN_EPOCH` steps an epoch the batch is halved, to no less than
    :data:`SMALLEST_BATCH`. Epochs are added until the run has :data:`STEPS_A_RUN` steps; the share
    of epochs before the graph joins the samples stays the same. A memory of past images is of no
    more than there are: what it would have beyond them are older copies, which cost time and have
    no effect on accuracy. Options that the user set stay as they are. With enough images all
    options stay as they are.

    Args:
        options: The options; :attr:`TrainOptions.defaulted` names those that are defaults.
        num_images: Number of training images.
        processes: Number of processes that share a batch; each needs two images or more.
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
    if "memory_size" in free:
        fitted["memory_size"] = min(options.memory_size, num_images)
    fitted |= {"batch_size": batch_size, "epochs": epochs, "pretrain_epochs": pretrain_epochs}
    if all(getattr(options, name) == value for name, value in fitted.items()):
        return options
    return dataclasses.replace(options, **fitted)


def changed_defaults(usual: TrainOptions, fitted: TrainOptions) -> str:
    """The defaults that decide what is learned, where they have changed, as on the command line.

    Empty if none has.
    """
    names = ["batch_size", "epochs"]
    if any("pretrain_epochs" in METHODS[name].options for name in usual.method):
        names.append("pretrain_epochs")
    return ", ".join(
        f"{flag_of(name)} {getattr(fitted, name)}"
        for name in names
        if getattr(usual, name) != getattr(fitted, name)
    )


def warn_of_few_steps(batch_size: int, num_images: int) -> str:
    """A warning if the batch is so large that an epoch has very few steps; otherwise empty."""
    steps, smaller = max(1, num_images // batch_size), _fitting_batch(num_images)
    if steps >= FEW_STEPS or smaller >= batch_size or num_images // smaller <= steps:
        return ""
    return (
        f"--batch-size {batch_size} is {steps} step{'s' * (steps > 1)} an epoch of {num_images:,} "
        f"training images; --batch-size {smaller} has {num_images // smaller}, and learns more"
    )


def _fitting_batch(num_images: int, processes: int = 1) -> int:
    """The largest power of two that leaves enough steps, and enough images for each process."""
    smallest = max(SMALLEST_BATCH, 2 * processes)
    power = 1 << int(math.log2(max(num_images / STEPS_AN_EPOCH, smallest)))
    return max(power, smallest) // processes * processes
