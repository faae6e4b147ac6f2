"""Bad rows and images: all of them in one report, or all left out, and no more."""

import csv
import os
import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from spoilt_data import (
    KINDS,
    PER_CLASS,
    face,
    ferplus_folders,
    image_folder,
    rafdb,
    rewrite,
    spoil_ferplus_folders,
)

from pyg_agfn.datasets import ImageDataset, image_cache
from pyg_agfn.datasets.bad_data import BadData, BadDataError, read_all, write_skipped
from pyg_agfn.datasets.image_cache import cached_images
from pyg_agfn.datasets.label_list import read_noise_file
from pyg_agfn.datasets.subset_list import read_subset_list
from pyg_agfn.errors import InputError
from pyg_agfn.training import TrainOptions, load_datasets


@pytest.fixture(params=KINDS)
def kind(request, tmp_path):
    make, spoil, count = KINDS[request.param]
    return make(tmp_path / "data"), partial(spoil, tmp_path / "data"), count


def number(name: str) -> int:
    return int("".join(c for c in Path(name).stem if c.isdigit()))


def test_everything_bad_is_in_one_report(kind, tmp_path):
    read, spoil, count = kind
    read("train")
    spoil()
    with pytest.raises(BadDataError) as error:
        read("train")
    first, *lines = str(error.value).splitlines()
    assert first.startswith(f"{count} rows or images are bad; fix them, or --skip-bad continues")
    assert len(lines) == 11
    assert lines[-1] == f"  ... and {count - 10} more"
    assert all(str(tmp_path) in line for line in lines[:-1])
    assert len({str(item) for item in error.value.items}) == count
    with pytest.raises(BadDataError) as again:
        read("train")  # from the cache
    assert str(again.value) == str(error.value)


def test_without_the_bad_ones_images_and_labels_stay_together(kind):
    read, spoil, count = kind
    whole = read("train")
    bad = spoil()
    for _ in range(2):  # decoded, and from the cache
        data = read("train", skip_bad=True)
        kept = [i for i, name in enumerate(whole.names) if number(name) not in bad]
        assert data.names == [whole.names[i] for i in kept]
        assert data.images.equal(whole.images[kept])
        assert data.labels.equal(whole.labels[kept])
        assert len(data.skipped) == count


def test_a_second_start_decodes_the_bad_ones_only(tmp_path, monkeypatch):
    read = ferplus_folders(tmp_path / "data")
    spoil_ferplus_folders(tmp_path / "data")
    first = read("train", skip_bad=True)
    decoded = []
    original = image_cache.read_image
    monkeypatch.setattr(
        image_cache, "read_image", lambda path, *rest: decoded.append(path) or original(path, *rest)
    )
    second = read("train", skip_bad=True)
    assert [number(path.name) for path in decoded] == list(range(9, 14))
    assert second.skipped == first.skipped
    assert second.images.equal(first.images)


def test_what_can_be_read_again_is_back(tmp_path, monkeypatch):
    """Such as after a disk was away: size and time of the file are what they were."""
    files = [tmp_path / f"{i}.png" for i in range(4)]
    for i, file in enumerate(files):
        Image.fromarray(face(i)).save(file)
    original = image_cache.read_image

    def fails(path, *rest):
        if path == files[2]:
            raise image_cache.UnreadableImageError("cannot be read (Input/output error)")
        return original(path, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(image_cache, "read_image", fails)
        unreadable = {}
        assert len(cached_images(files, None, 1, unreadable=unreadable)) == 3
        assert unreadable == {2: "cannot be read (Input/output error)"}
    unreadable = {}
    images = cached_images(files, None, 1, unreadable=unreadable)
    assert not unreadable
    assert np.array_equal(images[:, 0], [face(i) for i in range(4)])


def test_a_run_that_goes_on_sees_the_same_data(tmp_path, cache_dir):
    root = tmp_path / "data"
    ferplus_folders(root)
    spoil_ferplus_folders(root)
    options = TrainOptions.for_dataset("ferplus", root=root, skip_bad=True)
    began = load_datasets(options)[0].fingerprint()
    assert load_datasets(options)[0].fingerprint() == began
    shutil.rmtree(cache_dir)
    assert load_datasets(options)[0].fingerprint() == began
    Image.fromarray(face(9)).save(root / "FER2013Train" / "fer0000009.png")
    assert load_datasets(options)[0].fingerprint() != began  # --resume says so


def test_a_missing_file_that_comes_is_read(tmp_path):
    read = ferplus_folders(tmp_path / "data")
    file = tmp_path / "data" / "FER2013Train" / "fer0000003.png"
    file.rename(tmp_path / "away.png")
    assert len(read("train", skip_bad=True)) == 8 * PER_CLASS - 1
    (tmp_path / "away.png").rename(file)
    assert len(read("train")) == 8 * PER_CLASS


def test_the_size_of_most_images_counts(tmp_path):
    files = [tmp_path / f"{i}.png" for i in range(4)]
    for i, file in enumerate(files):
        Image.fromarray(face(i)[: 20 if i == 0 else 48]).save(file)
    unreadable = {}
    assert cached_images(files, None, 1, unreadable=unreadable).shape == (3, 1, 48, 48)
    assert unreadable == {0: "is 48x20 where most are 48x48; --image-size brings them to one size"}
    assert cached_images(files, 48, 1).shape == (4, 1, 48, 48)


def test_a_class_without_a_good_image_is_an_error(tmp_path):
    read = image_folder(tmp_path / "data")
    for file in (tmp_path / "data" / "train" / "class5").iterdir():
        file.write_bytes(b"")
    with pytest.raises(InputError, match=r"no image of class class5 .*4 bad ones are left out"):
        read("train", skip_bad=True)
    for file in (tmp_path / "data" / "train").rglob("*.png"):
        file.write_bytes(b"")
    with pytest.raises(InputError, match=r"no image of class class0.* among 0 \(32 bad"):
        read("train", skip_bad=True)


def test_one_bad_image_is_one_line(tmp_path):
    read = image_folder(tmp_path / "data")
    file = tmp_path / "data" / "train" / "class5" / "0000005.png"
    file.write_bytes(b"")
    with pytest.raises(BadDataError) as error:
        read("train")
    assert str(error.value).startswith(f"image {file}: cannot be read (")
    assert str(error.value).endswith("; fix it, or --skip-bad continues without it")


def test_both_splits_are_in_one_report(tmp_path):
    root = tmp_path / "data"
    rafdb(root)
    rewrite(
        root / "EmoLabel" / "list_patition_label.txt", lambda lines: lines.insert(0, "nonsense")
    )
    for split in ("train", "test"):
        (root / "Image" / "aligned" / f"{split}_00002_aligned.jpg").write_bytes(b"")
    options = TrainOptions.for_dataset("rafdb", root=root)
    with pytest.raises(BadDataError) as error:
        load_datasets(options)
    first, *lines = str(error.value).splitlines()
    assert first.startswith("3 rows or images")  # the row once, though both splits met it
    for line, part in zip(lines, ["row 1: exp", "row 4: image ", "row 32: image "], strict=True):
        assert part in line
    train, test = load_datasets(TrainOptions.for_dataset("rafdb", root=root, skip_bad=True))
    assert (len(train), len(test)) == (27, 27)


def test_bad_rows_of_a_noise_list(tmp_path):
    path = tmp_path / "noise.txt"
    path.write_text(
        "1.png b\n\n9.png a\n2.png c\n2.png\n../../etc/passwd 0\n1.png b\n1.png a\n2.png 1"
    )
    names, classes = ["1.png", "2.png"], ["a", "b"]
    with pytest.raises(BadDataError, match=r"^6 rows or images") as error:
        read_noise_file(path, names, classes)
    assert [item.row for item in error.value.items] == [3, 4, 5, 6, 8, 9]
    bad = BadData(skip=True)
    assert read_noise_file(path, names, classes, bad=bad).labels == {0: 1}
    assert bad.items == list(error.value.items)
    path.write_text("9.png 0\n")
    with pytest.raises(InputError, match=r"names no image"):
        read_noise_file(path, names, classes, bad=BadData(skip=True))


def test_a_noise_list_without_its_bad_rows_is_used(tmp_path):
    root = tmp_path / "data"
    image_folder(root)
    path = tmp_path / "noise.txt"
    path.write_text("train/class0/0000000.png class3\ndropped.png class0\n")
    options = TrainOptions.for_dataset("folder", root=root, noise_file=path, skip_bad=True)
    train, _ = load_datasets(options)
    assert (train.labels[0], int(train.wrong_labels.sum())) == (3, 1)
    assert [(i.source, i.row, i.image) for i in train.skipped] == [(str(path), 2, "dropped.png")]


def test_bad_rows_of_a_subset_list(tmp_path):
    path = tmp_path / "list.txt"
    path.write_text(f"1/fer0000001.jpg\nnonsense\n{'1' * 5000}/fer0000002.jpg\n2/fer0000001.jpg\n")
    with pytest.raises(BadDataError, match=r"^3 rows or images") as error:
        read_subset_list(path)
    assert [item.row for item in error.value.items] == [2, 3, 4]
    assert read_subset_list(path, BadData(skip=True)) == {"fer0000001": 1}


@pytest.mark.parametrize("ends", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("kind", ["ferplus folders", "ferplus pair", "rafdb"])
def test_line_ends_empty_lines_and_a_byte_order_mark_do_not_matter(tmp_path, kind, ends):
    read = KINDS[kind][0](tmp_path / "data")
    expected = read("train")
    lists = [f for f in (tmp_path / "data").rglob("*") if f.suffix in (".csv", ".txt")]
    assert lists
    for path in lists:
        lines = path.read_bytes().splitlines()
        path.write_bytes(b"\xef\xbb\xbf" + b"".join(line + 2 * ends for line in lines))
    data = read("train")
    assert data.names == expected.names
    assert data.images.equal(expected.images)
    assert data.labels.equal(expected.labels)


def test_quotes_around_cells_do_not_matter(tmp_path):
    read = ferplus_folders(tmp_path / "data")
    path = tmp_path / "data" / "FER2013Train" / "label.csv"
    expected = read("train").names
    rows = list(csv.reader(path.open(newline="")))
    with path.open("w", newline="") as file:
        csv.writer(file, quoting=csv.QUOTE_ALL).writerows(rows)
    assert read("train").names == expected


def test_a_field_without_end_is_a_bad_row(tmp_path):
    read = ferplus_folders(tmp_path / "data")
    path = tmp_path / "data" / "FER2013Train" / "label.csv"
    rewrite(path, lambda lines: lines.insert(2, "x" * 200_000))
    with pytest.raises(BadDataError, match=r"label\.csv, row 3: is no row of CSV \(field larger"):
        read("train")


def test_the_list_of_what_was_left_out(tmp_path):
    bad = BadData(skip=True)
    bad.add("is listed in row 1 already", tmp_path / "label.csv", 3, "a,b.png")
    bad.add("cannot be read (x\ny)", image="\udcff\x1b[2J.png")
    bad.raise_if_any()
    outside = tmp_path / "outside"
    outside.write_text("kept")
    os.symlink(outside, tmp_path / "skipped.csv")
    write_skipped(tmp_path / "skipped.csv", bad.items)
    assert outside.read_text() == "kept"
    with (tmp_path / "skipped.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert rows == [
        ["list", "row", "image", "reason"],
        [f"{tmp_path}/label.csv", "3", "a,b.png", "is listed in row 1 already"],
        ["", "", "\\udcff\\x1b[2J.png", "cannot be read (x\\ny)"],
    ]
    with pytest.raises(InputError, match="cannot be written"):
        write_skipped(tmp_path / "gone" / "skipped.csv", bad.items)


def test_what_is_no_bad_data_is_said_at_once():
    def broken() -> ImageDataset:
        raise InputError("--root: no such layout")

    with pytest.raises(InputError, match=r"^--root: no such layout$"):
        read_all([broken])
