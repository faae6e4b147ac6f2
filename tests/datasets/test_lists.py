"""Lists that are no regular files, or have no end, are refused before they fill the memory."""

import os
import resource
from functools import partial
from pathlib import Path

import pytest
from spoilt_data import KINDS

from pyg_agfn.datasets import lists
from pyg_agfn.datasets.label_list import read_noise_file
from pyg_agfn.datasets.lists import read_lines, read_rows
from pyg_agfn.datasets.subset_list import read_subset_list
from pyg_agfn.errors import InputError

#: Every reader of a list: how it is called, and which file it reads below the data set's root.
READERS = {
    "noise": (lambda root: partial(read_noise_file, root / "list", ["1.png"], ["a"]), "list"),
    "subset": (lambda root: partial(read_subset_list, root / "list"), "list"),
    "ferplus folders": (None, "FER2013Train/label.csv"),
    "ferplus pair": (None, "fer2013new.csv"),
    "rafdb": (None, "EmoLabel/list_patition_label.txt"),
}


@pytest.fixture(params=READERS)
def reader(request, tmp_path):
    make, file = READERS[request.param]
    root = tmp_path / "data"
    if make is not None:
        root.mkdir()
        return make(root), root / file
    return partial(KINDS[request.param][0](root), "train"), root / file


@pytest.fixture
def little_memory():
    """What would read for ever ends in a MemoryError."""
    before = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (12 << 30, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_DATA, before)


def endless(path: Path) -> None:
    path.symlink_to("/dev/zero")


def sparse(path: Path) -> None:
    path.touch()
    os.truncate(path, 1 << 42)


def one_line(path: Path) -> None:
    path.write_bytes(b"x" * (lists.LINE_LIMIT + 1))


def many_lines(path: Path) -> None:
    path.write_bytes(b"x y\n" * 101)


@pytest.mark.parametrize("make", [os.mkfifo, endless, sparse, one_line, many_lines, os.mkdir])
def test_what_is_no_list_is_refused(reader, make, monkeypatch, little_memory):
    monkeypatch.setattr(lists, "LINES_LIMIT", 100)
    read, path = reader
    path.unlink(missing_ok=True)
    make(path)
    with pytest.raises(InputError) as error:
        read()
    assert "\n" not in str(error.value)


def test_why_a_list_is_refused_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(lists, "LINES_LIMIT", 100)
    for make, reason in (
        (os.mkfifo, "is no file"),
        (sparse, "4,398,046,511,104 bytes, where a list has 1,073,741,824 at most"),
        (one_line, "line 1 has more than 1,048,576 characters"),
        (many_lines, "more than 100 lines"),
    ):
        path = tmp_path / make.__name__
        make(path)
        for read in (read_lines, read_rows):
            with pytest.raises(InputError) as error:
                list(read(path))
            assert str(error.value) == f"{path}: cannot be read ({reason})"
