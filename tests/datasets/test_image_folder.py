from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pyg_agfn.datasets import ImageFolder
from pyg_agfn.errors import InputError
from pyg_agfn.training import TrainOptions, load_datasets


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


@pytest.mark.parametrize(
    ("train_name", "name"),
    [
        ("train", "test"),
        ("Train", "Test"),
        ("TRAIN", "VAL"),
        ("training", "testing"),
        ("train", "valid"),
        ("train", "validation"),
        ("Training", "eval"),
    ],
)
def test_folders_for_training_and_testing_are_used(tmp_path, train_name, name):
    fill(tmp_path / train_name, {"a": 3, "b": 3}, channels=3)
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
        ({}, "has 0 class folders; expected at least two"),
        ({"a": 5, "b": 0, "c": 0}, "folder .*b, .*c has no image .*add some or remove the folder"),
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


def test_of_several_splits_the_first_counts_and_the_others_are_said(tmp_path):
    for name in ("train", "Train", "val", "test", "unlabelled"):
        fill(tmp_path / name, {"a": 2, "b": 2})
    train, test = ImageFolder(tmp_path, "train"), ImageFolder(tmp_path, "test")
    assert {name.split("/")[0] for name in train.names} == {"train"}
    assert {name.split("/")[0] for name in test.names} == {"test"}
    unused = {name: len(files) for name, files in train.ignored.unused.items()}
    assert unused == {"Train": 4, "val": 4, "unlabelled": 4}
    assert sum(name.startswith("val/") for name in train.set_aside) == 4  # lists may name them
    assert train.notes == [
        "ignored: 4 images in folder Train; 4 images in folder unlabelled; 4 images in folder val"
    ]


@pytest.mark.parametrize(
    ("folders", "complaint"),
    [
        (["train"], r"has train and no folder beside it named test/testing/.*give --root .*train"),
        (["Training", "mine"], r"has Training and no folder beside it"),
        (["val"], r"has val and no folder beside it named train/training; add one"),
        (["images/train", "images/val"], r"images holds train and val.*give --root .*images"),
        (["photos/cats"], r"has 1 class folders.*photos has more: give that"),
    ],
)
def test_splits_in_another_place_are_not_guessed(tmp_path, folders, complaint):
    for folder in folders:
        fill(tmp_path / folder, {"a": 3, "b": 3})
    with pytest.raises(InputError, match=complaint):
        ImageFolder(tmp_path)


def test_splits_inside_the_classes_are_not_mixed(tmp_path):
    for name in ("cat", "dog"):
        fill(tmp_path / name, {"train": 3, "test": 2})
    with pytest.raises(InputError, match=r"cat holds train and test, which are no images of one"):
        ImageFolder(tmp_path)


def test_a_class_may_be_called_like_a_split(tmp_path):
    fill(tmp_path, {"train": 5, "bus": 5, "happy face": 5})
    assert ImageFolder(tmp_path).classes == ("bus", "happy face", "train")


def test_every_image_counts_whatever_its_ending_and_depth(tmp_path):
    for number, form in enumerate(["png", "gif", "JPG", "jfif", "pgm", "ppm", "bmp", "TIFF"]):
        for name in ("a", "b"):
            path = tmp_path / name / "deep" / f"{form} er" / f"0.{form}"
            path.parent.mkdir(parents=True)
            Image.new("L", (5, 5), 10 * number).save(path)
    train, test = ImageFolder(tmp_path), ImageFolder(tmp_path, "test")
    assert len(train) + len(test) == 16
    assert len({*train.names, *test.names}) == 16
    assert all(
        n.startswith(train.classes[c]) for n, c in zip(train.names, train.labels, strict=True)
    )
    assert train.notes == ["16 of 16 images are in folders inside their class folder"]


def test_the_clutter_of_systems_is_neither_class_nor_image(tmp_path):
    fill(tmp_path, {"a": 5, "b": 5, "__MACOSX": 3, "@eaDir": 2, ".ipynb_checkpoints": 2})
    fill(tmp_path / "a", {".ipynb_checkpoints": 2, "@eaDir": 2})
    for name in ("._0.png", ".DS_Store", "Thumbs.db", "desktop.ini"):
        (tmp_path / "a" / name).write_bytes(b"\0")
        (tmp_path / name).write_bytes(b"\0")
    train, test = ImageFolder(tmp_path), ImageFolder(tmp_path, "test")
    assert train.classes == ("a", "b")
    assert len(train) + len(test) == 10
    assert not train.ignored
    assert train.notes == []


def test_what_is_ignored_is_counted(tmp_path):
    fill(tmp_path, {"a": 5, "b": 5})
    for name in ("a/x.txt", "b/y.txt", "b/clip.mp4", "b/png", "labels.csv"):
        (tmp_path / name).write_bytes(b"\0")
    Image.new("L", (5, 5)).save(tmp_path / "loose.png")
    (tmp_path / "a" / "round").symlink_to(tmp_path)
    data = ImageFolder(tmp_path)
    assert data.notes == [
        "ignored: 5 files that are no images by their ending (.txt 2, without one 1, .csv 1, "
        ".mp4 1); 1 link to folders, which are not followed; 1 image in no class folder"
    ]
    assert len(data) + len(ImageFolder(tmp_path, "test")) == 10


def test_a_class_folder_may_be_a_link(tmp_path):
    fill(tmp_path / "elsewhere", {"cats": 5})
    fill(tmp_path / "root", {"b": 5})
    (tmp_path / "root" / "a").symlink_to(tmp_path / "elsewhere" / "cats")
    assert len(ImageFolder(tmp_path / "root")) == 8


def test_images_of_other_shapes_are_said_and_brought_to_the_size(tmp_path):
    fill(tmp_path, {"a": 5, "b": 5})
    wide = np.repeat(np.array([10, 200, 30], np.uint8), 4)[None].repeat(4, 0)
    for name in ("a", "b"):
        Image.fromarray(wide).save(tmp_path / name / "wide.png")
    data = ImageFolder(tmp_path, image_size=4)
    assert data.notes == [
        "2 of 12 images are not square: stretched to 4x4; --resize crop or pad keep their shape"
    ]
    for resize, middle in (("crop", [200, 200, 200, 200]), ("pad", [0, 0, 10, 10])):
        parts = [ImageFolder(tmp_path, s, 4, resize=resize) for s in ("train", "test")]
        assert not parts[0].notes
        found = {n: i for part in parts for n, i in zip(part.names, part.images, strict=True)}
        if resize == "crop":
            assert found["a/wide.png"][0, 0].tolist() == middle
        else:
            assert not found["a/wide.png"][0, [0, 3]].any()  # bars above and below
    with pytest.raises(InputError, match="--resize must be one of"):
        ImageFolder(tmp_path, resize="squash")


def deep(folder: Path, highest: int, count: int = 5, dtype: type = np.uint16) -> None:
    for name in ("a", "b"):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for i in range(count):
            pixels = np.linspace(0, highest * (i + 1) / count, 25).reshape(5, 5).astype(dtype)
            Image.fromarray(pixels).save(folder / name / f"{np.dtype(dtype)}-{highest}-{i}.tif")


@pytest.mark.parametrize(
    ("highest", "dtype", "white", "note"),
    [
        (255, np.uint16, (255, None), "no image of 16 bits holds a value above 255"),
        (4000, np.uint16, (4095, None), "no image of 16 bits holds a value above 4095"),
        (65535, np.uint16, (65535, None), None),
        (1, np.float32, (None, 1), None),
        (250, np.float32, (None, 255), "images of floats hold values up to 255"),
    ],
)
def test_white_is_that_of_the_whole_data_set(tmp_path, highest, dtype, white, note):
    deep(tmp_path, highest, dtype=dtype)
    parts = [ImageFolder(tmp_path, split) for split in ("train", "test")]
    brightest = max(int(part.images.max()) for part in parts)
    assert brightest == round(255 * highest / (white[0] or white[1]))
    for part in parts:
        assert part.white == white
        assert part.notes == ([f"{note}: this is taken as white"] if note else [])


def test_8_bits_in_16_beside_true_16_bits_are_reported(tmp_path):
    deep(tmp_path, 65535)
    deep(tmp_path, 255, count=1)
    options = TrainOptions.for_dataset("folder", root=tmp_path)
    with pytest.raises(InputError, match=r"255-0\.tif: .*nearly black where 65535 is white"):
        load_datasets(options)
