"""The images of a run: those that its options name, and whatever data a user brings."""

import copy
from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from pyg_agfn.choices import CUSTOM
from pyg_agfn.datasets import ImageDataset
from pyg_agfn.datasets.bad_data import read_all
from pyg_agfn.datasets.dataset_items import classes_of
from pyg_agfn.datasets.ferplus import LabelMode
from pyg_agfn.datasets.labels import check_labels
from pyg_agfn.datasets.loader_data import LoaderData, decode_items
from pyg_agfn.errors import InputError, printable
from pyg_agfn.methods.method import Method
from pyg_agfn.registry import DATASETS
from pyg_agfn.training.options import TrainOptions

#: What a trainer learns from.
TrainingData = ImageDataset | LoaderData
#: What a user may bring.
DataLike = TrainingData | Dataset[Any] | DataLoader[Any]


def as_training_data(
    data: DataLike, classes: Sequence[str] | None = None, every_class: bool = True
) -> TrainingData:
    """What a user brings, as what a trainer reads.

    A data set of Pillow or ``uint8`` images of one size, without random transforms, is decoded once
    into an :class:`~pyg_agfn.datasets.ImageDataset`; one of floats and a ``DataLoader`` are read at
    each pass (:class:`~pyg_agfn.datasets.loader_data.LoaderData`).

    Args:
        data: Our own data, a map-style ``Dataset`` of (image, label), or a ``DataLoader`` over one.
        classes: Names of the classes; ``dataset.classes`` if not given, else numbers.
        every_class: Whether each class must have an image.

    Raises:
        InputError: It is none of these, iterable or empty; an item is no (image, label) or of
            another size; a class has no image. The message names the item.
    """
    if isinstance(data, ImageDataset | LoaderData):
        return data
    decoded = None
    if not isinstance(data, DataLoader):
        decoded = decode_items(data, classes, every_class)
    return decoded if decoded is not None else LoaderData(data, classes, every_class)


def as_measured_data(
    data: DataLike, classes: Sequence[str], image_shape: Sequence[int]
) -> TrainingData:
    """What a user brings to measure a model on, by the classes of its training.

    Some classes may have no image. Where the data and the training images name their classes,
    labels are told by these names: a folder that lacks a class numbers the others otherwise than
    the training images did.

    Args:
        data: As for :func:`as_training_data`.
        classes: Names of the model's classes.
        image_shape: Channels, height and width of its images.

    Raises:
        InputError: As :func:`as_training_data`; or images of another shape, or classes that the
            model does not know.
    """
    source = data.dataset if isinstance(data, DataLoader) else data
    own: Sequence[str] | None = (
        source.classes if isinstance(source, ImageDataset | LoaderData) else classes_of(source)
    )
    unnamed = own is None or _are_numbers(own) or _are_numbers(classes)
    if own is None or (unnamed and not set(own) <= set(classes)):
        own = tuple(classes)
    data = as_training_data(data, own, every_class=False)
    if tuple(data.image_shape) != tuple(image_shape):
        shapes = ["x".join(map(str, shape)) for shape in (data.image_shape, image_shape)]
        raise InputError(f"images to measure on are {shapes[0]}, where training's are {shapes[1]}")
    if tuple(own) == tuple(classes):
        check_labels("images to measure on", data.labels, classes, every_class=False)
        return data
    place = {name: number for number, name in enumerate(classes)}
    unknown = [name for name in own if name not in place]
    if unknown:
        shown = ", ".join(printable(name, 80) for name in unknown[:3])
        known = ", ".join(printable(name, 80) for name in classes[:10])
        raise InputError(
            f"images to measure on have classes that the training images have not: {shown}; "
            f"training's are {known}{', ...' if len(classes) > 10 else ''}"
        )
    places = torch.tensor([place[name] for name in own])
    data = copy.copy(data)
    data.labels, data.true_labels = places[data.labels], places[data.true_labels]
    data.soft_labels = None  # columns of other classes; only training learns them
    data.classes = tuple(classes)
    return data


def check_images(images: object, image_shape: Sequence[int]) -> None:
    """Refuses images in memory that are none, or of another shape than the model's.

    Raises:
        InputError: No tensor of ``uint8`` or floats, or another size or number of channels.
    """
    if not isinstance(images, Tensor):
        raise InputError(f"images must be a tensor, got {printable(type(images).__name__)}")
    if images.dtype != torch.uint8 and not images.is_floating_point():
        raise InputError(f"images must be of uint8 or floats, got {images.dtype}")
    if images.dim() != 4 or tuple(images.shape[1:]) != tuple(image_shape):
        raise InputError(
            f"images must be of shape [N, {', '.join(map(str, image_shape))}], got "
            f"{list(images.shape)}"
        )


def check_learns(method: Method, train: TrainingData) -> None:
    """Refuses soft labels that a method would pass over.

    Raises:
        InputError: The method learns from labels alone.
    """
    if train.soft_labels is not None and not method.learns_soft_labels:
        raise InputError(
            f"{type(method).__name__} learns from labels alone, and the training images have soft "
            "labels: take another method, or read the images without them (targets='labels')"
        )


def _are_numbers(classes: Sequence[str]) -> bool:
    """Whether classes have the names that they get where the data name none."""
    return list(classes) == [str(number) for number in range(len(classes))]


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
    if options.dataset == CUSTOM:
        raise InputError(
            "the images were given in Python, where no command finds them: measure the run by "
            "TrainingResult.load(folder).evaluate(images), and resume it by "
            "Trainer.fit(images, folder=folder)"
        )
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
        train = train.with_noise(options.noise, options.seed, options.noise_kind)
    return train, test
