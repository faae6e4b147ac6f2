"""The images of a run: those that its options name, and whatever data a user brings."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from pyg_agfn.datasets import ImageDataset
from pyg_agfn.datasets.bad_data import read_all
from pyg_agfn.datasets.ferplus import LabelMode
from pyg_agfn.datasets.loader_data import LoaderData, decode_items
from pyg_agfn.errors import InputError
from pyg_agfn.registry import DATASETS
from pyg_agfn.training.options import TrainOptions

#: What a trainer learns from.
TrainingData = ImageDataset | LoaderData


def as_training_data(
    data: TrainingData | Dataset[Any] | DataLoader[Any], classes: Sequence[str] | None = None
) -> TrainingData:
    """What a user brings, as what a trainer reads.

    A data set of Pillow or ``uint8`` images of one size, without random transforms, is decoded once
    into an :class:`~pyg_agfn.datasets.ImageDataset`; one of floats and a ``DataLoader`` are read at
    each pass (:class:`~pyg_agfn.datasets.loader_data.LoaderData`).

    Args:
        data: Our own data, a map-style ``Dataset`` of (image, label), or a ``DataLoader`` over one.
        classes: Names of the classes, such as those of the training data for validation data;
            ``dataset.classes`` if not given, else numbers.

    Raises:
        InputError: It is none of these, iterable or empty; an item is no (image, label) or of
            another size; a class has no image. The message names the item.
    """
    if isinstance(data, ImageDataset | LoaderData):
        return data
    decoded = None if isinstance(data, DataLoader) else decode_items(data, classes)
    return decoded if decoded is not None else LoaderData(data, classes)


def load_datasets(
    options: TrainOptions, eval_label_mode: LabelMode | None = None
) -> tuple[ImageDataset, ImageDataset]:
    """Training images, with wrong labels where the options ask for them, and test images.

    Args:
        options: Of the run.
        eval_label_mode: Label mode of FERPlus's test images, where it is not the options'.

    Raises:
        InputError: The data set is not as the options say.
        BadDataError: Rows or images of either are bad, and are not to be skipped.
    """
    reader = DATASETS[options.dataset]
    if options.eval_split not in reader.splits:
        raise InputError(
            f"--eval-split {options.eval_split}: {options.dataset} has {', '.join(reader.splits)}"
        )
    given = {name: getattr(options, name) for name in reader.options}
    if reader.needs_root:
        given["root"] = options.root
    measured = dict(given)
    if eval_label_mode is not None and "label_mode" in reader.options:
        measured["label_mode"] = eval_label_mode
    train, test = read_all(
        [
            partial(reader.read, "train", **given),
            partial(reader.read, options.eval_split, **measured),
        ]
    )

    if options.train_size is not None:
        if options.train_size > len(train) and "train_size" not in options.defaulted:
            raise InputError(
                f"--train-size {options.train_size}: there are {len(train)} training images"
            )
        generator = torch.Generator().manual_seed(options.seed)
        drawn = torch.randperm(len(train), generator=generator)[: options.train_size]
        train = train.subset(drawn.sort().values)
    if options.noise_file is not None:
        others = [*test.names, *test.set_aside]
        train = train.with_noise_file(
            options.noise_file, options.skip_bad, options.noise_labels, others
        )
    elif options.noise:
        train = train.with_noise(options.noise, options.seed)
    return train, test
