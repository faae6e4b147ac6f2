from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pyg_agfn.datasets import ImageFolder
from pyg_agfn.errors import InputError


@pytest.fixture(autouse=True)
def cache_elsewhere(tmp_path_factory, monkeypatch):
    """The usual place would be one more class folder."""
    monkeypatch.setenv("PYG_AGFN_CACHE", str(tmp_path_factory.mktemp("cache")))


def fill(folder: Path, counts: dict[str, int], channels: int = 1) -> None:
    for name, count in counts.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for i in range(count):
            shape = (5, 5) if channels == 1 else (5, 5, 3)
            Image.fromarray(np.full(shape, i, np.uint8)).save(folder / name / f"{i}.PNG")


def test_one_folder_is_split_by_class(tmp_path):
    fill(tmp_path, {"cat": 20, "dog": 10, ".hidden": 3})
    (tmp_path / "cat" / "notes.txt").write_text("no image")
    train, test = (ImageFolder(tmp_path, split) for split in ("train", "test"))
    assert train.classes == ("cat", "dog")
    assert np.bincount(train.labels).tolist() == [16, 8]
    assert np.bincount(test.labels).tolist() == [4, 2]
    assert not set(train.names) & set(test.names)
    assert train.names == ImageFolder(tmp_path, "train").names
    assert train.images.shape == (24, 1, 5, 5)
    for name, label in zip(train.names, train.labels.tolist(), strict=True):
        assert name.startswith(train.classes[label])


@pytest.mark.parametrize("name", ["test", "val", "valid"])
def test_folders_for_training_and_testing_are_used(tmp_path, name):
    fill(tmp_path / "train", {"a": 3, "b": 3}, channels=3)
    fill(tmp_path / name, {"a": 1, "b": 2})
    train, test = ImageFolder(tmp_path, "train"), ImageFolder(tmp_path, "test")
    assert (len(train), len(test)) == (6, 3)
    assert train.images.shape[1] == test.images.shape[1] == 3  # one split has colour
    assert test.names == [f"{name}/a/0.PNG", f"{name}/b/0.PNG", f"{name}/b/1.PNG"]


def test_small_classes_keep_an_image_on_both_sides(tmp_path):
    fill(tmp_path, {"a": 2, "b": 2, "c": 2})
    assert np.bincount(ImageFolder(tmp_path, "test").labels).tolist() == [1, 1, 1]


@pytest.mark.parametrize("counts", [[2, 100], [2, 30, 3], [2, 2, 200]])
def test_a_small_class_beside_large_ones_is_tested_too(tmp_path, counts):
    fill(tmp_path, dict(zip("abc", counts, strict=False)))
    train, test = (ImageFolder(tmp_path, split) for split in ("train", "test"))
    assert not set(train.names) & set(test.names)
    assert (np.bincount(train.labels) + np.bincount(test.labels)).tolist() == counts
    assert np.bincount(test.labels).min() == np.bincount(train.labels).min() == 1


@pytest.mark.parametrize(
    ("counts", "complaint"),
    [
        ({"a": 5}, "has 1 class folders"),
        ({"a": 5, "b": 0}, "folder .*b has no image"),
        ({"a": 5, "b": 1}, "class b has one image"),
    ],
)
def test_what_cannot_be_learned_is_refused(tmp_path, counts, complaint):
    fill(tmp_path, counts)
    with pytest.raises(InputError, match=complaint):
        ImageFolder(tmp_path, "train")


def test_other_classes_for_testing_are_refused(tmp_path):
    fill(tmp_path / "train", {"a": 3, "b": 3})
    fill(tmp_path / "test", {"a": 1, "c": 2})
    with pytest.raises(InputError, match="differ in class b, c"):
        ImageFolder(tmp_path, "train")


def test_wrong_roots_and_broken_images_are_named(tmp_path):
    with pytest.raises(InputError, match=r"--root .*gone: is no folder"):
        ImageFolder(tmp_path / "gone")
    with pytest.raises(InputError, match="train or test"):
        ImageFolder(tmp_path, "all")
    with pytest.raises(InputError, match="is no folder"):
        ImageFolder(tmp_path / ("x" * 300))  # longer than a name may be
    fill(tmp_path, {"a": 5, "b": 5})
    (tmp_path / "a" / "0.PNG").write_bytes(b"")
    with pytest.raises(InputError, match=r"0\.PNG: cannot be read"):
        ImageFolder(tmp_path)
