"""Published and hand-made lists of labels: the right labels, or one clear line."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from spoilt_data import rafdb

from pyg_agfn.csv_text import csv_row
from pyg_agfn.datasets import RAFDB, ImageDataset, read_noise_file
from pyg_agfn.datasets.bad_data import BadData
from pyg_agfn.datasets.ferplus import CLASSES as FERPLUS
from pyg_agfn.datasets.rafdb import CLASSES as RAF
from pyg_agfn.errors import InputError
from pyg_agfn.training import TrainOptions, load_datasets

CLASSES = ["neutral", "happy", "sad"]
RAF_NAMES = [f"train_{i + 1:05d}_aligned.jpg" for i in range(14)]
RAF_TEST = [f"test_{i + 1:04d}_aligned.jpg" for i in range(7)]


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "noise.txt"
    path.write_text(text, encoding="utf-8")
    return path


def labels_of(tmp_path, text, names, classes=CLASSES, **given):
    return read_noise_file(write(tmp_path, text), names, classes, **given).labels


def test_scns_list_for_raf_db_counts_from_0_by_absolute_paths(tmp_path):
    folder = "/home/victor/CurriculumNet/tests/RAFDB_DATA/aligned"
    text = "".join(f"{folder}/{name} {i % 7}\n" for i, name in enumerate(RAF_NAMES))
    found = read_noise_file(write(tmp_path, text), RAF_NAMES, RAF)
    assert found.labels == {i: i % 7 for i in range(14)}
    assert found.notation == "numbers from 0 (0 is surprise)"


def test_eacs_and_ruls_lists_count_from_1_and_name_test_images_too(tmp_path):
    text = "".join(f"train_{i + 1:05d}.jpg {i % 7 + 1}\n" for i in range(14))
    text += "".join(f"test_{i + 1:04d}.jpg {i % 7 + 1}\n" for i in range(7))
    found = read_noise_file(write(tmp_path, text), RAF_NAMES, RAF, set_aside=RAF_TEST)
    assert found.labels == {i: i % 7 for i in range(14)}
    assert (found.lines, found.matched, found.set_aside) == (21, 14, 7)
    assert found.notation == "numbers from 1 (1 is surprise)"


@pytest.mark.parametrize(
    ("line", "first"),
    [
        ("/home/x/RAFDB_DATA/aligned/{}_aligned.jpg {}\n", 0),  # SCN's 0.1noise_train.txt
        ("/home/x/RAFDB_DATA/aligned/{}_aligned.jpg {}\r\n", 0),  # SCN's train.txt
        ("{}.jpg {}\n", 1),  # EAC's noise01.txt, RAF-DB's own list
        ("{}_aligned.jpg {}\n", 1),
        ("Image/aligned/{}_aligned.jpg {}\n", 0),
        ("aligned/{}.jpg,{}\n", 1),
    ],
)
def test_published_lists_train_raf_db_and_the_log_says_how_they_were_read(tmp_path, line, first):
    rafdb(tmp_path / "raf")
    train = RAFDB(tmp_path / "raf", "train")
    wrong = (train.labels + (torch.arange(28) % 5 == 0)) % 7
    text = "".join(
        line.format(name.removesuffix("_aligned.jpg"), int(label) + first)
        for name, label in zip(train.names, wrong, strict=True)
    )
    path = write(tmp_path, text.rstrip("\n"))  # EAC's last line has no end
    options = TrainOptions.for_dataset("rafdb", root=tmp_path / "raf", noise_file=path)
    noisy, test = load_datasets(options)
    assert noisy.labels.equal(wrong)
    assert noisy.describe_label_list() == (
        "noise.txt: 28 lines, 28 matched, 6 labels differ from the data set's; labels are numbers "
        f"from {first} ({first} is surprise)"
    )
    assert not test.wrong_labels.any()


def test_a_third_column_is_refused_as_either_could_be_the_noisy_label(tmp_path):
    text = "train_00001.jpg 5 4\ntrain_00002.jpg 1 1\n"
    with pytest.raises(InputError, match=r"row 1: image train_00001\.jpg: label '5 4' is none of"):
        labels_of(tmp_path, text, RAF_NAMES, RAF)


def test_rans_list_of_ferplus_has_the_label_before_the_image(tmp_path):
    text = "7/fer0000000 6\n0/fer0000001 5\n4/fer0000002 6\n0/fer0000009 6\n"
    names = [f"FER2013Train/fer000000{i}.png" for i in range(3)]
    others = ["FER2013Test/fer0000009.png"]
    found = read_noise_file(write(tmp_path, text), names, FERPLUS, set_aside=others)
    assert found.labels == {0: 7, 1: 0, 2: 4}
    assert found.set_aside == 1


def test_a_list_that_may_be_rans_form_or_path_and_label_is_refused(tmp_path):
    names = ["0/a.png", "1/b.png"]
    with pytest.raises(InputError, match=r"label before the slash; say by --noise-labels"):
        labels_of(tmp_path, "0/a 1\n1/b 0\n", names, ["0", "1"])
    text = "0/a 1\n1/b 0\n"
    assert labels_of(tmp_path, text, names, ["0", "1"], notation="names") == {0: 1, 1: 0}


def test_the_agfn_authors_lists_begin_with_the_part(tmp_path):
    text = "".join(f"train {name} {i % 7}\n" for i, name in enumerate(RAF_NAMES))
    text += "test test_0001_aligned.jpg 3\n"
    found = read_noise_file(write(tmp_path, text), RAF_NAMES, RAF, set_aside=RAF_TEST)
    assert found.labels == {i: i % 7 for i in range(14)}
    assert found.set_aside == 1


@pytest.mark.parametrize(
    ("labels", "classes", "expected"),
    [
        ("0 1 2", CLASSES, [0, 1, 2]),
        ("1 2 3", CLASSES, [0, 1, 2]),
        ("sad happy sad", CLASSES, [2, 1, 2]),
        # Class names that are numbers.
        ("0 1 0", ["1", "2"], [0, 1, 0]),
        ("1 2 1", ["1", "2"], [0, 1, 0]),
        ("1 2 1", ["0", "1"], [0, 1, 0]),
        ("3 9 5", ["3", "5", "9"], [0, 2, 1]),
        ("10 2 1", ["1", "10", "2"], [1, 2, 0]),
    ],
)
def test_one_notation_holds_for_the_whole_list(tmp_path, labels, classes, expected):
    names = [f"{i}.png" for i in range(3)]
    text = "".join(f"{n} {label}\n" for n, label in zip(names, labels.split(), strict=True))
    assert labels_of(tmp_path, text, names, classes) == dict(enumerate(expected))


def test_numbers_that_could_count_from_0_or_from_1_are_refused_until_it_is_said(tmp_path):
    names = ["0.png", "1.png"]
    text = "0.png 1\n1.png 2\n"
    with pytest.raises(
        InputError,
        match=r"from 1 to 2 can be read in several ways.* 2 lines: from-0 0, from-1 2; say by "
        r"--noise-labels",
    ):
        labels_of(tmp_path, text, names, labels=[0, 1])
    assert labels_of(tmp_path, text, names, notation="from-0") == {0: 1, 1: 2}
    assert labels_of(tmp_path, text, names, notation="from-1") == {0: 0, 1: 1}
    with pytest.raises(InputError, match="--noise-labels must be one of auto, names"):
        labels_of(tmp_path, text, names, notation="from-2")


def test_a_0_and_a_k_in_one_list_fit_nothing_and_skipping_rows_is_no_way_out(tmp_path):
    names = ["0.png", "1.png", "2.png"]
    text = "0.png 0\n1.png 3\n2.png 1\n"
    with pytest.raises(InputError, match="from 0 to 3 are neither class names") as error:
        labels_of(tmp_path, text, names, bad=BadData(skip=True))
    assert "--skip-bad" not in str(error.value)
    with pytest.raises(InputError, match=r"row 2: image 1\.png: label '3' is none of 0 to 2"):
        labels_of(tmp_path, text, names, notation="from-0")
    bad = BadData(skip=True)
    assert labels_of(tmp_path, text, names, notation="from-0", bad=bad) == {0: 0, 2: 1}


def test_one_stray_0_does_not_shift_a_list_that_counts_from_1(tmp_path):
    """The labels that the images have tell it: nine of ten agree by the other notation."""
    classes = [*"abcdefghijkl"]
    names = [f"{i}.png" for i in range(10)]
    text = "".join(f"{i}.png {i + 1}\n" for i in range(9)) + "9.png 0\n"
    with pytest.raises(InputError, match=r"from-0 0, from-1 9"):
        labels_of(tmp_path, text, names, classes, labels=range(10))


def test_folders_that_are_numbers_are_not_shifted_by_a_list_that_counts_otherwise(tmp_path):
    names = [f"{i}/x{i}.png" for i in range(6)]
    text = "".join(f"{i}/x{i}.png {i + 1}\n" for i in range(6))  # of folders 0 to 6, from 1
    with pytest.raises(InputError, match=r"names 0, from-1 6"):
        labels_of(tmp_path, text, names, [*"0123456"], labels=range(6))
    assert labels_of(tmp_path, text, names, [*"0123456"], labels=range(6), notation="from-1") == {
        i: i for i in range(6)
    }


def test_names_and_numbers_are_not_mixed(tmp_path):
    text = "0.png happy\n1.png 2\n"
    with pytest.raises(InputError, match=r"row 2: image 1\.png: label '2' is none of neutral, hap"):
        labels_of(tmp_path, text, ["0.png", "1.png"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("happy face/1.jpg sad face\nsad face/a b.jpg happy face\n", {0: 1, 1: 0}),
        ("train\\happy face\\1.jpg sad face", {0: 1}),
        ("happy face/1.jpg\tsad face\n", {0: 1}),
        ("happy face/1.jpg,sad face\n", {0: 1}),
        ("happy face/1.jpg; sad face\n", {0: 1}),
        ('"happy face/1.jpg","sad face"\n', {0: 1}),
        ("file,label\nhappy face/1.jpg,sad face\n", {0: 1}),
        ("image_name noisy_label\r\nhappy face/1.jpg sad face\r\n", {0: 1}),
        ("\ufeff\n\n./happy face/1.jpg sad face", {0: 1}),
    ],
)
def test_separators_blanks_quotes_and_a_header(tmp_path, text, expected):
    names = ["happy face/1.jpg", "sad face/a b.jpg"]
    assert labels_of(tmp_path, text, names, ["happy face", "sad face"]) == expected


def test_text_as_windows_writes_it_is_read(tmp_path):
    path = tmp_path / "noise.txt"
    path.write_bytes("1.png glücklich\r\n".encode("utf-16"))
    assert read_noise_file(path, ["1.png"], ["glücklich", "sad"]).labels == {0: 0}
    path.write_bytes("1.png glücklich\r\n".encode("latin-1"))
    with pytest.raises(InputError, match=r"noise\.txt: is no UTF-8 text"):
        read_noise_file(path, ["1.png"], ["glücklich", "sad"])


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("1.png happy\n1.png\n", "row 2: expected 'path label'"),
        ("1.png -1\n", r"row 1: image 1\.png: label '-1' is none of neutral, happy, sad"),
        ("1.png angry\n", "angry.*neutral, happy, sad"),
        ("1.png nan\n", "row 1.*'nan'"),
        ("1.png 1.0\n", r"row 1.*'1\.0'"),
        (f"1.png {'9' * 5000}\n", "row 1"),
        ("1.png happy\n1.png sad\n", r"row 2: image 1\.png: has another label further above"),
        ("1.png happy\n9.png sad\n", r"row 2: image 9\.png: is no image of this data set"),
        ("1.png sad\ndouble.png sad\n", r"row 2: image double\.png: is the name of several images"),
        ("1.png sad\n../../etc/passwd sad\n", r"row 2: image \.\./\.\./etc/passwd: is no image"),
        (
            "9.png 0\n8.png 1",
            r"names no image of this data set: it begins with '9\.png 0', .* with '1\.png'",
        ),
        ("0\n1\n2\n", "names no image of this data set"),
        ("test/1.png happy", r"names no training image, only 1 that are set aside"),
        ("\n", "names no training image; expected 'path label'"),
    ],
)
def test_broken_lists_are_named_with_their_row(tmp_path, text, complaint):
    names = ["1.png", "a/double.png", "b/double.png"]
    with pytest.raises(InputError, match=complaint) as error:
        labels_of(tmp_path, text, names, set_aside=["test/1.png"])
    assert "noise.txt" in str(error.value)
    assert "\n" not in str(error.value)


def test_lines_that_can_be_divided_in_a_million_ways_are_bad_rows(tmp_path):
    lines = [
        "1.png sad",
        "a " * 400_000,
        "a/" * 2000 + " b" * 2000,
        "/" * 8000,
        "1.png " + "b " * 40,
    ]
    with pytest.raises(InputError, match=r"^4 rows or images are bad"):
        labels_of(tmp_path, "\n".join(lines), ["1.png", "a/b/c.png"])


def test_a_missing_list_is_named(tmp_path):
    with pytest.raises(InputError, match=r"gone\.txt"):
        read_noise_file(tmp_path / "gone.txt", ["1.png"], CLASSES)


def test_what_was_done_is_one_line(tmp_path):
    names = [f"{c}/{i}.png" for c in ("a", "b") for i in range(4)]
    pixels = np.zeros((8, 1, 4, 4), np.uint8)
    whole = ImageDataset(pixels, [0] * 4 + [1] * 4, ["a", "b"], names)
    train = whole.subset(torch.tensor([0, 1, 2, 4, 5, 6]))
    path = write(tmp_path, "".join(f"{name} b\n" for name in names[:-1]))
    noisy = train.with_noise_file(path)
    assert noisy.labels.tolist() == [1] * 6
    assert noisy.describe_label_list() == (
        "noise.txt: 7 lines, 6 matched (1 name images set aside), 3 labels differ from the data "
        "set's; labels are class names"
    )
    assert train.describe_label_list() is None


def test_raf_db_by_both_ways_of_counting(tmp_path):
    """The whole data set, from its files: by SCN's and by EAC's list the labels are the same."""
    rafdb(tmp_path / "raf")
    train, test = (RAFDB(tmp_path / "raf", split) for split in ("train", "test"))
    wrong = (train.labels + (train.labels == 3)) % 7  # a fifth of them
    for first, form in ((0, "/data/aligned/{}_aligned.jpg {}"), (1, "{}.jpg {}")):
        text = "\n".join(
            form.format(name.removesuffix("_aligned.jpg"), int(label) + first)
            for name, label in zip(train.names, wrong, strict=True)
        )
        text += "\n" + form.format("test_00003", 5)
        noisy = train.with_noise_file(write(tmp_path, text), set_aside=test.names)
        assert noisy.labels.equal(wrong)
        assert noisy.true_labels.equal(train.labels)


def test_lines_about_images_outside_of_the_training_part_change_nothing(tmp_path):
    """Held-out fifth, ``--train-size`` and all: each label belongs to the image of its own line."""
    root = tmp_path / "photos"
    for c, name in enumerate(("happy", "sad")):
        (root / name).mkdir(parents=True)
        for i in range(10):
            Image.new("L", (4, 4), 100 * c + i).save(root / name / f"{i:04d}.png")
    whole = [f"{name}/{i:04d}.png" for name in ("happy", "sad") for i in range(10)]
    path = write(tmp_path, "".join(f"photos/{name} sad\n" for name in whole))
    options = TrainOptions.for_dataset("folder", root=root, noise_file=path, train_size=12)
    train, test = load_datasets(options)
    assert (train.labels == 1).all()
    assert test.labels.tolist() == [int(name.startswith("sad")) for name in test.names]
    assert train.label_list.matched == 12
    assert train.label_list.set_aside == 8
    path = write(tmp_path, "".join(f"{name} happy\n" for name in test.names))
    with pytest.raises(InputError, match="names no training image, only 4 that are set aside"):
        load_datasets(TrainOptions.for_dataset("folder", root=root, noise_file=path))


def test_quoted_cells_of_csv_are_taken_as_they_are(tmp_path):
    names = ['a "b", c.png', "'d'.png", "d.png", "=e.png", " f.png"]
    classes = ["sad face", 'the "third"', "=x"]
    text = "".join(csv_row([name, classes[i % 3]]) for i, name in enumerate(names[:4]))
    text += '" f.png","the ""third"""\n'
    expected = {0: 0, 1: 1, 2: 2, 3: 0, 4: 1}
    assert labels_of(tmp_path, "file,label\r\n" + text, names, classes) == expected
