import os
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from pyg_agfn.datasets import ImageDataset
from pyg_agfn.registry import BACKBONES, DATASETS, METHODS, PROTOCOLS

# Test processes run in parallel; each has one thread, and so have those that it starts.
torch.set_num_threads(1)
os.environ["OMP_NUM_THREADS"] = "1"


@pytest.fixture(autouse=True)
def cache_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache of decoded images is a folder of the test."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("PYG_AGFN_CACHE", str(folder))
    return folder


@pytest.fixture
def registries() -> Iterator[None]:
    """Forgets in the end whatever a test has registered."""
    before = [(registry, set(registry)) for registry in (METHODS, DATASETS, BACKBONES, PROTOCOLS)]
    yield
    for registry, names in before:
        for name in set(registry) - names:
            registry.unregister(name)


@pytest.fixture(scope="session")
def tiny() -> ImageDataset:
    """60 images of 8x8 in three classes that are easy to classify: bright rows."""
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 3
    images = rng.integers(0, 60, (60, 1, 8, 8), dtype=np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[0, 2 * label : 2 * label + 3] += 180
    return ImageDataset(images, labels, ["a", "b", "c"], [f"{i}.png" for i in range(60)])


#: A module of the user's own, with a backbone.
OWN_NETS = """
from pathlib import Path

import torch
from torch import nn

class Net(nn.Sequential):
    def __init__(self, in_channels, width=8):
        super().__init__(
            nn.Conv2d(in_channels, width, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
        )

class Number:
    pass

def fails():
    raise RuntimeError("no, not today")

Path("imported").touch()
"""


@pytest.fixture
def own_nets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current folder, with a module of the user's own in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
    (tmp_path / "own_nets.py").write_text(OWN_NETS)
    yield tmp_path
    sys.modules.pop("own_nets", None)
