"""The same seed gives a bitwise identical run: again, and however the images are read."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from rich.console import Console
from safetensors.torch import load_file

from pyg_agfn.training import TrainOptions, train_methods


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    """Images of two classes, which are decoded into a memory map."""
    root = tmp_path_factory.mktemp("photos")
    chance = np.random.default_rng(0)
    for label in ("cats", "dogs"):
        (root / label).mkdir()
        for number in range(20):
            pixels = chance.integers(0, 256, (8, 8, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / label / f"{number}.png")
    return root


def run(photos: Path, out: Path, **given) -> dict[str, torch.Tensor]:
    """The weights of a short run."""
    options = TrainOptions.for_dataset(
        "folder",
        root=photos,
        out=out,
        cache=photos.parent / "cache",
        device="cpu",
        method=("agfn",),
        **{
            "backbone": "small-cnn",
            "image_size": 8,
            "batch_size": 8,
            "epochs": 2,
            "pretrain_epochs": 1,
            "feature_dim": 8,
            "samples": 2,
            "noise": 0.1,
            "lr_graph": 1.0,
            "eval_draws": 1,
            **given,
        },
    )
    train_methods(options, Console(quiet=True))
    (folder,) = out.iterdir()
    return load_file(folder / "model.safetensors")


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_the_seed_decides_on_the_run_and_the_workers_do_not(photos, tmp_path):
    first = run(photos, tmp_path / "first", seed=3, workers=0)
    torch.manual_seed(12345)  # what the process drew before is of no account
    torch.rand(7)
    for number, workers in enumerate((0, 1, 2, 5)):
        assert same(first, run(photos, tmp_path / str(number), seed=3, workers=workers)), workers
    assert not same(first, run(photos, tmp_path / "other", seed=4))
