"""What a run says of its images, and what it must find again later."""

import io
import json

import numpy as np
import pytest
import torch
from PIL import Image
from rich.console import Console
from small_run import TINY_BASELINE

from pyg_agfn.datasets.image_survey import note_on_brightness
from pyg_agfn.errors import InputError
from pyg_agfn.runs.folder import load_run
from pyg_agfn.training import TrainOptions, train_methods
from pyg_agfn.training.run_data import load_run_data


@pytest.fixture
def wide_photos(tmp_path):
    root = tmp_path / "photos"
    for name in ("a", "b"):
        (root / name).mkdir(parents=True)
        for i in range(5):
            pixels = np.random.default_rng(i).integers(0, 4000, (8, 16)).astype(np.uint16)
            Image.fromarray(pixels).save(root / name / f"{i}.png")
    (root / "notes.txt").touch()
    return root


def test_a_run_says_what_it_does_to_images_and_keeps_it(tmp_path, wide_photos):
    shown = io.StringIO()
    options = TrainOptions.for_dataset(
        "folder",
        root=wide_photos,
        method=("baseline",),
        epochs=1,
        out=tmp_path / "runs",
        **{**TINY_BASELINE, "image_size": 8, "resize": "pad"},
    )
    train_methods(options, Console(file=shown, width=200))
    lines = shown.getvalue().splitlines()
    assert "no image of 16 bits holds a value above 4095: this is taken as white" in lines
    assert "ignored: 1 file that is no image by its ending (.txt 1)" in lines
    (folder,) = (tmp_path / "runs").iterdir()
    run = load_run(folder)
    assert (run.config.resize, run.config.white) == ("pad", (4095, None))
    load_run_data(run)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "resize": "crop"}))
    with pytest.raises(InputError, match=r"config\.json: resize is not that in model\.json, pad"):
        load_run_data(run)
    (folder / "config.json").write_text(json.dumps(config))
    Image.fromarray(np.full((8, 8), 60_000, np.uint16)).save(wide_photos / "a" / "bright.png")
    Image.fromarray(np.full((8, 8), 60_000, np.uint16)).save(wide_photos / "a" / "more.png")
    with pytest.raises(InputError, match=r"images were added, changed or removed"):
        load_run_data(run)


def test_resize_without_a_size_is_refused():
    with pytest.raises(InputError, match="--resize crop needs --image-size"):
        TrainOptions.for_dataset("digits", resize="crop")


def test_images_that_show_nothing_are_said():
    black = torch.randint(0, 8, (5, 1, 4, 4), dtype=torch.uint8)
    flat = torch.full((5, 1, 4, 4), 128, dtype=torch.uint8)
    assert note_on_brightness(flat) == [
        "each of 5 images is one value throughout: look at the files"
    ]
    assert "nearly black (no value above 7 of 255)" in note_on_brightness(black)[0]
    black[4, 0, 0, 0] = 200
    assert note_on_brightness(black) == []
