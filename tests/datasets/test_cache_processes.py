"""Several processes at one image cache, and one that is killed over it."""

import multiprocessing
import os
import signal
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pyg_agfn.datasets import image_cache
from pyg_agfn.datasets.image_cache import cached_images

FORK = multiprocessing.get_context("fork")  # nothing is imported again
SIDE = 120  # larger than what a file buffers


@pytest.fixture
def files(tmp_path) -> list[Path]:
    pixels = np.random.default_rng(0).integers(0, 256, (8, SIDE, SIDE), dtype=np.uint8)
    files = [tmp_path / f"{i}.png" for i in range(8)]
    for image, file in zip(pixels, files, strict=True):
        Image.fromarray(image).save(file)
    return files


def expected(files: list[Path]) -> np.ndarray:
    return np.stack([np.asarray(Image.open(file))[None] for file in files])


def fill(files, barrier, answers):
    original = image_cache._write

    def together(*arguments):
        barrier.wait(60)  # each has seen that there is no array yet
        return original(*arguments)

    image_cache._write = together
    images = cached_images(files, None, 1)
    answers.put((images.shape, images.tobytes()))


def test_three_that_fill_it_at_once_all_get_the_whole_array(files, cache_dir):
    barrier, answers = FORK.Barrier(3), FORK.Queue()
    processes = [FORK.Process(target=fill, args=(files, barrier, answers)) for _ in range(3)]
    for process in processes:
        process.start()
    found = [answers.get(timeout=60) for _ in processes]
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    array = expected(files)
    assert all(answer == (array.shape, array.tobytes()) for answer in found)
    assert [file.suffix for file in cache_dir.iterdir()] == [".npy"]
    assert np.array_equal(cached_images(files, None, 1), array)


def stop_at_the_sixth(files, reached, never):
    original = image_cache.read_image

    def read(path, *rest):
        if path == files[5]:
            reached.set()
            never.wait(60)
        return original(path, *rest)

    image_cache.read_image = read
    cached_images(files, SIDE, 1)


def test_one_that_is_killed_leaves_no_array_and_its_rest_is_swept(files, cache_dir):
    reached, never = FORK.Event(), FORK.Event()
    process = FORK.Process(target=stop_at_the_sixth, args=(files, reached, never))
    process.start()
    assert reached.wait(60)
    (partial,) = wait_for_bytes(cache_dir)
    os.kill(process.pid, signal.SIGKILL)
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    assert list(cache_dir.iterdir()) == [partial]

    assert np.array_equal(cached_images(files, SIDE, 1), expected(files))
    assert partial.exists()  # it could be of one that is still at it
    os.utime(partial, (0, 0))
    others = cache_dir / "photo.png"
    Image.new("L", (4, 4)).save(others)
    os.utime(others, (0, 0))
    cached_images(files[:2], SIDE, 1)
    assert not partial.exists()
    assert others.exists()


def wait_for_bytes(folder: Path) -> list[Path]:
    """The files of a folder, once the first has some of its bytes."""
    pause = FORK.Event()
    for _ in range(600):
        found = list(folder.iterdir()) if folder.exists() else []
        if found and found[0].stat().st_size > 0:
            return found
        pause.wait(0.1)
    pytest.fail("nothing was written")
