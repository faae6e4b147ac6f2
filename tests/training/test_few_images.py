"""Defaults look at the number of training images, and what is given is kept."""

import dataclasses
import json

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from pyg_agfn.datasets import ImageDataset
from pyg_agfn.training import (
    Trainer,
    TrainOptions,
    fit_to_images,
    load_datasets,
    parse_options,
    resume_run,
    train_methods,
)
from pyg_agfn.training.few_images import (
    STEPS_A_RUN,
    STEPS_AN_EPOCH,
    changed_defaults,
    warn_of_few_steps,
)


@pytest.mark.parametrize(
    ("dataset", "images"),
    [("digits", 1347), ("mnist", 10_000), ("ferplus", 28_558), ("rafdb", 12_271)],
)
def test_published_defaults_stay_where_there_are_images_enough(dataset, images):
    options = TrainOptions.for_dataset(dataset, root=None if dataset == "digits" else "x")
    fitted = fit_to_images(options, images)
    assert fitted == dataclasses.replace(options, memory_size=min(4096, images))
    assert not changed_defaults(options, fitted)


def test_the_memory_is_of_no_more_images_than_there_are(tiny):
    usual = TrainOptions.for_dataset("digits", method="agfn-nlc")
    assert fit_to_images(usual, 60).memory_size == 60
    assert fit_to_images(usual.given(memory_size=500), 60).memory_size == 500


@pytest.mark.parametrize("images", [2, 20, 60, 195, 500, 1000, 2559])
def test_few_images_still_make_steps_and_epochs_with_the_graph(images):
    usual = TrainOptions.for_dataset("folder", root="x")
    fitted = fit_to_images(usual, images)
    steps = max(1, images // fitted.batch_size)
    assert steps >= STEPS_AN_EPOCH or fitted.batch_size == 16
    assert steps * fitted.epochs >= STEPS_A_RUN
    assert fitted.pretrain_epochs == fitted.epochs // 4
    assert 16 <= fitted.batch_size <= usual.batch_size


def test_what_is_given_or_saved_is_kept(tmp_path):
    given = TrainOptions.for_dataset("folder", root="x", batch_size=256, epochs=3)
    assert fit_to_images(given, 195) == dataclasses.replace(given, memory_size=195)
    assert given.pretrain_epochs == 0
    only_batch = fit_to_images(TrainOptions.for_dataset("folder", root="x", batch_size=64), 195)
    assert (only_batch.batch_size, only_batch.epochs) == (64, -(-STEPS_A_RUN // 3))
    TrainOptions.for_dataset("folder", root="x").save(tmp_path / "config.json")
    saved = parse_options(["--config", str(tmp_path / "config.json")])
    assert fit_to_images(saved, 195) is saved


def test_epochs_of_a_schedule_are_kept_where_epochs_are_added():
    given = {"freeze_epochs": 5, "schedule": "step", "milestones": (20, 30), "method": "baseline"}
    fitted = fit_to_images(TrainOptions.for_dataset("folder", root="x", **given), 195)
    assert fitted.epochs > 40
    assert all(getattr(fitted, name) == given[name] for name in ("freeze_epochs", "milestones"))


def test_images_that_are_set_aside_are_not_counted(tiny, monkeypatch):
    monkeypatch.setattr("pyg_agfn.training.few_images.STEPS_A_RUN", 30)
    options = {"backbone": "small-cnn", "method": "baseline", "schedule": "step", "quiet": True}
    result = Trainer(val_fraction=0.4, freeze_epochs=1, **options).fit(tiny)
    assert len(result.train) == 36
    assert (result.options.batch_size, result.options.epochs) == (16, 40)


@pytest.mark.parametrize("processes", [2, 3, 12])
def test_each_process_gets_two_images_of_a_batch_or_more(processes):
    options = TrainOptions.for_dataset("folder", root="x")
    fitted = fit_to_images(options, 195, processes)
    assert fitted.batch_size % processes == 0
    assert fitted.batch_size >= 2 * processes


def test_a_default_of_more_images_than_there_are_takes_all():
    options = fit_to_images(TrainOptions.for_dataset("mnist", root="x"), 6000)
    assert options.train_size is None


def test_a_batch_that_is_hardly_a_step_is_warned_of():
    assert warn_of_few_steps(256, 195) == (
        "--batch-size 256 is 1 step an epoch of 195 training images; --batch-size 16 has 12, and "
        "learns more"
    )
    assert not warn_of_few_steps(32, 195)
    assert not warn_of_few_steps(256, 20)  # no smaller one has more steps


@pytest.fixture
def photos(tmp_path):
    """40 images in two class folders."""
    rng = np.random.default_rng(0)
    for label, name in enumerate(("dark", "light")):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for i in range(20):
            pixels = rng.integers(0, 60, (8, 8), dtype=np.uint8) + 120 * label
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{i}.png")
    return tmp_path / "photos"


def test_the_fitted_values_are_said_saved_and_repeated(photos, tmp_path, monkeypatch):
    monkeypatch.setattr("pyg_agfn.training.few_images.STEPS_A_RUN", 90)
    options = TrainOptions.for_dataset(
        "folder", root=str(photos), method="baseline", backbone="small-cnn", image_size=8, out="out"
    )
    monkeypatch.chdir(tmp_path)
    with (tmp_path / "screen").open("w") as screen:
        train_methods(options, Console(file=screen))
    said = (tmp_path / "screen").read_text()
    line = "by default for 32 training images: --batch-size 16, --epochs 45\n"
    assert said.count(line) == 1
    (folder,) = (tmp_path / "out").iterdir()
    saved = json.loads((folder / "config.json").read_text())
    assert (saved["batch_size"], saved["epochs"], saved["pretrain_epochs"]) == (16, 45, 11)
    assert json.loads((folder / "metrics.json").read_text())["epochs"] == 45
    assert resume_run(folder, {}, Console(quiet=True))["epochs"] == 45


def test_a_smaller_mnist_is_learned_whole(monkeypatch):
    def few(root, train, image_size, interpolation):
        size = 40 if train else 20
        images = np.zeros((size, 1, 8, 8), np.uint8)
        return ImageDataset(images, np.arange(size) % 2, ["0", "1"], [str(i) for i in range(size)])

    monkeypatch.setattr("pyg_agfn.datasets.mnist.MNIST", few)
    train, _ = load_datasets(TrainOptions.for_dataset("mnist", root="x"))
    assert len(train) == 40
