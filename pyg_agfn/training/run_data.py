"""The images that a finished run was trained and measured on."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pyg_agfn.datasets import ImageDataset
from pyg_agfn.datasets.ferplus import LabelMode
from pyg_agfn.errors import InputError
from pyg_agfn.runs.folder import Run
from pyg_agfn.training.data import load_datasets
from pyg_agfn.training.options import TrainOptions
from pyg_agfn.training.saved_options import load_options
from pyg_agfn.training.validation import split_rows


def load_run_data(
    run: Run,
    given: Mapping[str, Any] | None = None,
    cache: Path | None = None,
    eval_label_mode: LabelMode | None = None,
) -> tuple[TrainOptions, ImageDataset, ImageDataset]:
    """The run's options, and the training and test images that its ``config.json`` names.

    Images that it set aside to choose an epoch are not among the training images.

    Args:
        run: A run read back.
        given: Options that are others now.
        cache: Folder for decoded images. The file's own is not used: the run may come from an
            untrusted source, which must not choose where files are written.
        eval_label_mode: Label mode of FERPlus's test images, where it is not the run's. The
            training images stay those that it learned.

    Raises:
        InputError: The images or their classes are not those that the model was made for.
    """
    config = run.folder / "config.json"
    options = load_options(config, given)
    options = dataclasses.replace(options, cache=cache)
    label_mode = eval_label_mode or options.label_mode
    # Options of their own, as these refuse what the data set does not have.
    measured = dataclasses.replace(options, label_mode=label_mode)
    model = run.config
    size = (model.channels, model.height, model.width)
    if options.image_size is not None and size[1:] != (options.image_size, options.image_size):
        raise InputError(f"{config}: image_size is not the size in model.json")
    for name in ("resize", "interpolation"):
        if getattr(options, name) != (own := getattr(model, name)):
            raise InputError(f"{config}: {name} is not that in model.json, {own}")
    train, test = load_datasets(options, measured.label_mode)
    for data in (train, test):
        if data.images.shape[1:] != size or data.classes != model.classes:
            raise InputError(
                f"{config}: names images of {'x'.join(map(str, data.images.shape[1:]))} in "
                f"{len(data.classes)} classes, where model.json is of {'x'.join(map(str, size))} "
                f"in {len(model.classes)}, or classes of other names"
            )
        if data.white != model.white:
            raise InputError(
                f"{config}: names images of more than 8 bits whose white is {data.white}, where "
                f"model.json has {model.white}: images were added, changed or removed"
            )
    if options.val_fraction:
        train = train.subset(split_rows(train.labels, options.val_fraction, options.seed)[0])
    return options, train, test
