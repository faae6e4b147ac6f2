"""Data and options at the edge of sense: a run ends with numbers, or says what is wrong."""

import math

import pytest
import torch
from rich.console import Console

from pyg_agfn.datasets import ImageDataset
from pyg_agfn.datasets.batches import Batches
from pyg_agfn.errors import InputError
from pyg_agfn.training import TrainOptions, train_method

QUIET = Console(quiet=True)


def run(train: ImageDataset, test: ImageDataset, **given) -> dict[str, object]:
    small = {
        "method": ("agfn",),
        "device": "cpu",
        "noise": 0.0,
        "batch_size": 8,
        "epochs": 2,
        "pretrain_epochs": 1,
        "feature_dim": 8,
        "eval_draws": 1,
        "lr_graph": 10.0,
    }
    options = TrainOptions.for_dataset("digits", **{**small, **given})
    return train_method(options, None, train, test, QUIET)


def numbers(found: object) -> list[float]:
    if isinstance(found, dict):
        return [number for value in found.values() for number in numbers(value)]
    if isinstance(found, list | tuple):
        return [number for value in found for number in numbers(value)]
    return [found] if isinstance(found, float) else []


def of_one_class(data: ImageDataset) -> ImageDataset:
    return data.subset((data.labels == 1).nonzero().flatten())


def of_one_image(data: ImageDataset, value: int | None = None) -> ImageDataset:
    images = data.images[:1].repeat(len(data), 1, 1, 1)
    if value is not None:
        images = images.fill_(value)
    return ImageDataset(images.numpy(), data.labels.numpy(), data.classes, data.names)


UNUSUAL = {
    "one class": (of_one_class, {}),
    "one image": (of_one_image, {}),
    "black images": (lambda data: of_one_image(data, 0), {}),
    "a rest of one image": (lambda data: data.subset(torch.arange(17)), {}),
    "two images": (lambda data: data.subset(torch.arange(2)), {"batch_size": 256}),
    "batches of two": (lambda data: data.subset(torch.arange(9)), {"batch_size": 2}),
    "a huge alpha": (lambda data: data, {"alpha": 1e30}),
    "a hugely negative alpha": (lambda data: data, {"alpha": -1e30}),
    "a huge beta": (lambda data: data, {"beta": 1e30, "samples": 3}),
    "a hugely negative beta": (lambda data: data, {"alpha": 1e4, "beta": -1e30}),
}


@pytest.mark.parametrize("kind", UNUSUAL)
def test_a_run_ends_with_numbers(kind, tiny):
    change, given = UNUSUAL[kind]
    metrics = run(change(tiny), tiny, **given)
    found = numbers(metrics)
    assert len(found) > 5
    assert all(map(math.isfinite, found)), metrics


def test_a_rest_is_left_out_of_training_and_measured_all_the_same(tiny):
    data, device = tiny.subset(torch.arange(17)), torch.device("cpu")
    sizes = {
        shuffled: [len(batch.labels) for batch in Batches(data, 8, device, shuffle=shuffled)]
        for shuffled in (True, False)
    }
    assert sizes == {True: [8, 8], False: [8, 8, 1]}


def test_one_image_or_one_class_is_too_few(tiny):
    with pytest.raises(InputError, match="at least 2 images"):
        run(tiny.subset(torch.arange(1)), tiny)
    alone = ImageDataset(tiny.images.numpy(), [0] * len(tiny), ["all"], tiny.names)
    with pytest.raises(InputError, match="at least 2 classes, there is only all"):
        run(alone, alone)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("name", ["alpha", "beta", "lr", "lr_graph"])
def test_options_that_are_no_numbers_are_refused(name, value):
    with pytest.raises(InputError, match=rf"--{name.replace('_', '-')} must be a number"):
        TrainOptions.for_dataset("digits", **{name: value})


def test_a_rate_that_diverges_names_step_and_images(tiny):
    with pytest.raises(InputError) as caught:
        run(tiny, tiny, lr=1e30, momentum=0.0)
    said = str(caught.value)
    assert "\n" not in said
    assert said.startswith("agfn: ")
    assert "of epoch 1" in said
    assert "lower --lr (1e+30)" in said
