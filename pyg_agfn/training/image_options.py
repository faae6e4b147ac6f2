"""Options of a training that its images decide on, or that have no effect on them."""

import dataclasses

from pyg_agfn.datasets.loader_data import LoaderData
from pyg_agfn.errors import InputError
from pyg_agfn.training.data import TrainingData
from pyg_agfn.training.options import TrainOptions


def options_for_images(options: TrainOptions, images: TrainingData) -> TrainOptions:
    """The options for these images.

    Raises:
        InputError: One that was given has no effect on them.
    """
    given = {field.name for field in dataclasses.fields(options)} - options.defaulted
    if "augment" in given and options.augment and images.are_floats:
        raise InputError(
            "augment has no effect on images that are floats: leave it out, or do it in their "
            "transforms"
        )
    scaling = [f"input_{name}" for name in ("mean", "std", "range", "order")]
    set_scaling = [name for name in scaling if getattr(options, name) is not None]
    if images.are_floats and set_scaling:
        raise InputError(
            f"{set_scaling[0]} has no effect on images that are floats, which are used as they "
            "are: leave it out, or do it in their transforms"
        )
    if not isinstance(images, LoaderData) or images.loader is None:
        return options
    own = {"batch_size": images.own_batch_size, "workers": images.loader.num_workers}
    for name, value in own.items():
        if name in given and getattr(options, name) != value:
            raise InputError(
                f"{name} has no effect with a DataLoader, which has its own, {value}: leave it "
                "out, or give fit() its dataset"
            )
    drawn = {
        "val_fraction": options.val_fraction > 0,
        "balance='sampler'": options.balance == "sampler",
    }
    for name, is_set in drawn.items():
        if is_set:
            raise InputError(
                f"{name} has no effect with a DataLoader, which draws images by itself: leave "
                "it out, or give fit() its dataset"
            )
    return options.given(batch_size=own["batch_size"])


def note_on_scale(train: TrainingData, validation: TrainingData) -> str:
    """What to look at where one of the two is scaled and the other is not; else nothing."""
    kinds = (train.are_floats, validation.are_floats)
    if None in kinds or kinds[0] == kinds[1]:
        return ""
    names = ["floats" if kind else "bytes" for kind in kinds]
    return (
        f"training images are {names[0]} and validation images are {names[1]}: bytes are scaled "
        "to -1..1, and floats are used as they are; see that both are of one scale"
    )
