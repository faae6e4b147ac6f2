"""Data sets by their names: those of the package, and one that this file adds."""

import numpy as np
import pytest
from rich.console import Console

from pyg_agfn.datasets import Digits, ImageDataset
from pyg_agfn.datasets.reader import register_dataset
from pyg_agfn.errors import InputError
from pyg_agfn.registry import DATASETS
from pyg_agfn.training import TrainOptions, load_datasets, parse_options, train_methods
from pyg_agfn.training.defaults import DATASET_DEFAULTS, dataset_defaults

SMALL = {"method": ("baseline",), "epochs": 2, "backbone": "small-cnn", "device": "cpu"}


@pytest.fixture
def stripes():
    """Red, green and blue stripes, made where they are asked for."""

    @register_dataset(
        "stripes", needs_root=False, options=("image_size",), defaults={"epochs": 3, "lr": 0.02}
    )
    def read_stripes(split: str, image_size: int | None = None) -> ImageDataset:
        side, n = image_size or 8, 60 if split == "train" else 30
        rng = np.random.default_rng(split == "train")
        labels = np.arange(n) % 3
        images = rng.integers(0, 60, (n, 3, side, side), dtype=np.uint8)
        images[np.arange(n), labels, ::2] += 190
        names = [f"{split}/{i}" for i in range(n)]
        return ImageDataset(images, labels, ["red", "green", "blue"], names)

    yield "stripes"
    DATASETS.unregister("stripes")


def test_a_registered_data_set_is_read_by_its_options(stripes):
    options = TrainOptions.for_dataset("stripes", image_size=12, noise=0.2, train_size=40)
    train, test = load_datasets(options)
    assert train.images.shape == (40, 3, 12, 12)
    assert int(train.wrong_labels.sum()) == 8
    assert (len(test), int(test.wrong_labels.sum())) == (30, 0)
    assert test.names[0] == "test/0"


def test_a_registered_data_set_brings_its_defaults(stripes):
    options = parse_options(["--dataset", "stripes"])
    assert (options.epochs, options.lr, options.dataset) == (3, 0.02, "stripes")
    assert parse_options(["--dataset", "stripes", "--lr", "0.5"]).lr == 0.5
    assert dataset_defaults("stripes") == {"eval_split": "test", "epochs": 3, "lr": 0.02}


def test_what_a_registered_data_set_does_not_take_is_refused(stripes, tmp_path):
    for name, value in (("root", tmp_path), ("resize", "crop"), ("cache", tmp_path)):
        with pytest.raises(InputError, match=rf"--{name} has no effect with --dataset stripes"):
            TrainOptions.for_dataset("stripes", image_size=12, **{name: value})


def test_a_registered_data_set_is_trained_on(stripes, tmp_path):
    given = {**SMALL, "epochs": 4, "lr": 0.05, "batch_size": 10, "augment": False}
    options = TrainOptions.for_dataset("stripes", out=tmp_path, **given)
    (metrics,) = train_methods(options, Console(quiet=True))
    assert (metrics["dataset"], metrics["train_images"], metrics["test_images"]) == (
        "stripes",
        60,
        30,
    )
    assert metrics["accuracy"]["bank"] > 0.9


def test_a_split_that_a_data_set_has_not_is_refused(stripes):
    options = TrainOptions.for_dataset("stripes")
    object.__setattr__(options, "eval_split", "valid")
    with pytest.raises(InputError, match=r"--eval-split valid: stripes has test$"):
        load_datasets(options)


def test_the_packages_data_sets_take_what_their_classes_take():
    assert list(DATASETS) == list(DATASET_DEFAULTS)
    assert {name for name in DATASETS if not DATASETS[name].needs_root} == {"digits"}
    assert {name for name in DATASETS if "label_mode" in DATASETS[name].options} == {"ferplus"}
    assert DATASETS["ferplus"].splits == ("valid", "test")
    assert all(DATASETS[name].splits == ("test",) for name in DATASETS if name != "ferplus")
    read = DATASETS["digits"].read("test", image_size=10)
    assert isinstance(read, Digits)
    assert read.images.shape == (450, 1, 10, 10)


def test_defaults_of_an_unknown_data_set_are_none():
    assert dataset_defaults("no-such-set") == {}
    assert dataset_defaults("mnist") is DATASET_DEFAULTS["mnist"]
