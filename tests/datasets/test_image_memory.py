"""Decoding takes a bounded amount of memory, and want of it is no fault of an image."""

import threading

import numpy as np
import pytest
from odd_images import tiff
from PIL import Image, ImageFile
from spoilt_data import image_folder

from pyg_agfn.datasets import image_file, image_memory
from pyg_agfn.datasets.image_cache import cached_images
from pyg_agfn.datasets.image_file import decode
from pyg_agfn.datasets.image_memory import MemoryBudget, OutOfMemoryError, bytes_to_decode
from pyg_agfn.datasets.image_survey import survey_images
from pyg_agfn.errors import InputError

SIDE = 200


@pytest.fixture
def files(tmp_path):
    files = [tmp_path / f"{i}.png" for i in range(12)]
    for i, file in enumerate(files):
        Image.fromarray(np.full((SIDE, SIDE), 5000 * i + 5000, np.uint16)).save(file)
    Image.fromarray(np.full((SIDE, SIDE), 65535, np.uint16)).save(files[0])
    return files


@pytest.fixture
def watched(files, monkeypatch):
    """A budget for two of the images at once."""
    with Image.open(files[0]) as image:
        needed = bytes_to_decode(image, (8, 8), 1)
    budget = MemoryBudget(2 * needed + 1)
    monkeypatch.setattr(image_file, "DECODING", budget)
    return budget


def test_threads_together_stay_within_the_budget(files, watched, monkeypatch):
    inside, most, lock = 0, 0, threading.Lock()
    both = threading.Event()
    original = image_file.fit_image

    def counted(*arguments):
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
            if inside == 2:
                both.set()
        try:
            assert both.wait(30)  # two fit at once
            return original(*arguments)
        finally:
            with lock:
                inside -= 1

    monkeypatch.setattr(image_file, "fit_image", counted)
    monkeypatch.setattr("pyg_agfn.datasets.image_cache.THREADS", 6)
    assert len(cached_images(files, 8, 1)) == len(files)
    assert most == 2
    assert watched.taken == 0


def test_an_image_larger_than_the_budget_is_decoded_alone(files, monkeypatch):
    budget = MemoryBudget(1000)
    monkeypatch.setattr(image_file, "DECODING", budget)
    taken = []
    original = image_file.fit_image
    monkeypatch.setattr(
        image_file, "fit_image", lambda *a: taken.append(budget.taken) or original(*a)
    )
    assert decode(files[0], 8, 1).shape == (1, 8, 8)
    assert taken == [1000]


def test_what_one_image_may_take_is_bounded(tmp_path, monkeypatch):
    path = tmp_path / "line.png"
    Image.new("L", (1, 60_000)).save(path)
    assert decode(path, 64, 1).shape == (1, 64, 64)
    monkeypatch.setattr(image_file, "MOST_BYTES", 1 << 20)
    with pytest.raises(InputError, match=r"1x60000 would take \d MiB of memory.*make it smaller"):
        decode(path, 64, 1)


def test_a_tile_larger_than_the_image_counts(tmp_path):
    path = tmp_path / "tile.tif"
    side = 30_000
    path.write_bytes(tiff(8, 1, bytes(36), {259: 5, 322: side, 323: side, 324: 8, 325: 36}))
    with pytest.raises(InputError, match=r"6x6 would take \d+ MiB of memory"):
        decode(path, 8, 1)


def test_files_without_end_and_without_content_are_not_read(tmp_path, monkeypatch):
    path = tmp_path / "sparse.png"
    Image.new("L", (4, 4)).save(path)
    with path.open("r+b") as file:
        file.truncate(1 << 40)
    empty = tmp_path / "empty.png"
    empty.touch()
    kernel = tmp_path / "kernel.png"
    kernel.symlink_to("/proc/kmsg")  # a file for the system; to read it would wait for ever
    zero = tmp_path / "zero.png"
    zero.symlink_to("/dev/zero")
    monkeypatch.setattr(Image, "open", lambda *_, **__: pytest.fail("opened"))
    for file, reason in ((path, "larger than 1024 MiB"), (empty, "empty"), (zero, "is no file")):
        with pytest.raises(InputError, match=reason):
            decode(file, None, 1)
    with pytest.raises(InputError, match=r"it is empty|is no file"):
        decode(kernel, None, 1)


def deny(monkeypatch, error, times=1000, free=False):
    """Pillow gets no memory, some times, and neither does anything else if it is not free."""
    left = [times]
    original = ImageFile.ImageFile.load_prepare

    def load_prepare(self):
        left[0] -= 1
        if left[0] >= 0:
            raise error
        return original(self)

    monkeypatch.setattr(ImageFile.ImageFile, "load_prepare", load_prepare)
    monkeypatch.setattr(image_file, "is_free", lambda count: free)


@pytest.mark.parametrize("error", [MemoryError(), OSError("broken data stream")])
def test_want_of_memory_is_one_line_and_no_image_is_called_bad(tmp_path, monkeypatch, error):
    read = image_folder(tmp_path / "data")
    deny(monkeypatch, error)
    line = r"^image .*\d+\.png: decoding it takes up to 1 MiB of memory.*make the image smaller$"
    for skip in (False, True):
        with pytest.raises(OutOfMemoryError, match=line):
            read("train", skip_bad=skip)
    with pytest.raises(OutOfMemoryError, match=line):
        decode(next((tmp_path / "data").rglob("*.png")), None, 1)


def test_want_of_memory_is_said_by_the_survey_too(files, monkeypatch):
    deny(monkeypatch, MemoryError())
    with pytest.raises(OutOfMemoryError, match=r"image .*\.png: decoding it"):
        survey_images(files)


def test_an_image_that_other_threads_left_no_memory_is_read_again_alone(files, monkeypatch):
    taken = []
    budget = image_memory.MemoryBudget(1 << 30)
    monkeypatch.setattr(image_file, "DECODING", budget)
    original = image_file.fit_image
    monkeypatch.setattr(
        image_file, "fit_image", lambda *a: taken.append(budget.taken) or original(*a)
    )
    deny(monkeypatch, MemoryError(), times=1, free=True)
    assert decode(files[0], 8, 1).min() == 255
    assert taken[1:] == [1 << 30]


def test_a_file_that_asks_for_nonsense_is_bad(files, monkeypatch):
    deny(monkeypatch, MemoryError(), free=True)
    with pytest.raises(InputError, match="asks for too much memory") as error:
        decode(files[0], 8, 1)
    assert not isinstance(error.value, OutOfMemoryError)
