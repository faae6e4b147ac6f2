"""Functions that take a path also take text, and name an argument that is not a path."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image

from pyg_agfn.datasets import MNIST, RAFDB, FERPlus, ImageFolder
from pyg_agfn.datasets.bad_data import write_skipped
from pyg_agfn.datasets.batches import Batches
from pyg_agfn.datasets.lists import read_lines
from pyg_agfn.errors import InputError
from pyg_agfn.prediction import find_images
from pyg_agfn.reproduction.results_file import ResultsFile
from pyg_agfn.runs.folder import load_answers, load_run
from pyg_agfn.runs.json_files import read_json
from pyg_agfn.training import TrainOptions
from pyg_agfn.training.run import make_run_folder
from pyg_agfn.visualization.learning_curves import read_history
from pyg_agfn.visualization.picture_file import check_ending

#: Each ends in an error that names the path, because nothing exists there.
READERS: dict[str, Callable[[object], object]] = {
    "FERPlus": FERPlus,
    "RAFDB": RAFDB,
    "MNIST": MNIST,
    "ImageFolder": ImageFolder,
    "lists": lambda path: list(read_lines(path)),
    "load_run": load_run,
    "load_answers": load_answers,
    "read_history": read_history,
    "read_json": read_json,
    "find_images": lambda path: find_images([path]),
    "find_images, of one": find_images,
    "check_ending": check_ending,
}
WRITERS: dict[str, Callable[[object], object]] = {
    "options": TrainOptions().save,
    "skipped": lambda path: write_skipped(path, []),
    "run folder": lambda path: make_run_folder(path, "run"),
    "results": lambda path: ResultsFile(path).add({"cell": "a"}),
}


@pytest.mark.parametrize("door", READERS)
def test_text_stands_for_a_path_that_is_read(door, tmp_path):
    with pytest.raises(InputError) as of_text:
        READERS[door](str(tmp_path / "none"))
    with pytest.raises(InputError) as of_path:
        READERS[door](tmp_path / "none")
    assert str(of_text.value) == str(of_path.value)
    assert str(tmp_path / "none") in str(of_text.value)


@pytest.mark.parametrize("door", WRITERS)
def test_text_stands_for_a_path_that_is_written(door, tmp_path):
    WRITERS[door](str(tmp_path / "made"))
    assert (tmp_path / "made").exists()


@pytest.mark.parametrize("wrong", [None, 3, b"x", 1.5], ids=repr)
@pytest.mark.parametrize("door", sorted({*READERS, *WRITERS} - {"find_images, of one"}))
def test_what_is_no_path_is_one_line(door, wrong):
    with pytest.raises(InputError, match=r"must be a path, got .*(None|\(\w+\))$") as caught:
        {**READERS, **WRITERS}[door](wrong)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["root", "out", "noise_file", "cache"])
def test_options_take_text_for_a_path(name, tmp_path):
    options = TrainOptions.for_dataset("folder", **{"root": tmp_path, name: str(tmp_path)})
    assert getattr(options, name) == Path(tmp_path)


def test_images_are_cached_in_a_folder_given_as_text(tmp_path, tiny):
    for name in ("a", "b"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for i in range(2):
            Image.fromarray(tiny.images[i, 0].numpy()).save(tmp_path / "photos" / name / f"{i}.png")
    ImageFolder(str(tmp_path / "photos"), "train", cache_dir=str(tmp_path / "decoded"))
    assert list((tmp_path / "decoded").iterdir())


def test_a_device_may_be_text(tiny):
    images, labels, *_ = next(iter(Batches(tiny, 8, "cpu")))
    assert images.shape == (8, 1, 8, 8)
    assert labels.device == torch.device("cpu")
