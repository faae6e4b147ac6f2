import os
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console
from small_run import TINY_MODEL

from pyg_agfn.training import TrainOptions, train_methods

SCRIPTS = Path(__file__).parents[2] / "scripts"

Script = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def script(tmp_path, monkeypatch, capsys) -> Script:
    """Runs a script in an empty folder in this process, because imports take seconds."""

    def run(name: str, *arguments: object) -> subprocess.CompletedProcess[str]:
        monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
        monkeypatch.chdir(tmp_path)
        with pytest.raises(SystemExit) as done:
            runpy.run_path(str(SCRIPTS / name), run_name="__main__")
        printed = capsys.readouterr()
        return subprocess.CompletedProcess(
            sys.argv, int(done.value.code or 0), printed.out, printed.err
        )

    return run


@pytest.fixture
def process(tmp_path) -> Script:
    """Runs a script in an empty folder in a process of its own."""

    def run(name: str, *arguments: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(SCRIPTS / name), *map(str, arguments)]
        environment = {**os.environ, "COLUMNS": "80"}
        return subprocess.run(
            command, capture_output=True, text=True, cwd=tmp_path, env=environment, check=False
        )

    return run


@pytest.fixture(scope="session")
def photos(tmp_path_factory) -> Path:
    """A folder of class folders: 30 images of bright rows, which are easy to classify."""
    root = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for label, name in enumerate(["bottom", "middle", "top"]):
        (root / name).mkdir()
        for i in range(10):
            pixels = rng.integers(0, 60, (12, 12), dtype=np.uint8)
            pixels[8 - 4 * label : 12 - 4 * label] += 190
            Image.fromarray(pixels).save(root / name / f"{i}.png")
    return root


@pytest.fixture(scope="session")
def trained(photos, tmp_path_factory) -> dict[str, Path]:
    """Finished runs on the photos, by method."""
    out = tmp_path_factory.mktemp("runs")
    methods = ("baseline", "agfn")
    options = TrainOptions.for_dataset(
        "folder",
        root=photos,
        method=methods,
        epochs=8,
        pretrain_epochs=2,
        bank_size=9,
        lr=0.05,
        augment=False,
        out=out,
        cache=out / "cache",
        **TINY_MODEL,
    )
    train_methods(options, Console(quiet=True))
    return {method: out / f"folder-{method}-noise0-seed0" for method in methods}
