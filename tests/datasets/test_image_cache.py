import os
import resource
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pyg_agfn.datasets import image_file
from pyg_agfn.datasets.image_cache import cached_images, default_cache_dir
from pyg_agfn.errors import InputError


def save(path: Path, pixels, **options) -> Path:
    Image.fromarray(np.asarray(pixels)).save(path, **options)
    return path


@pytest.fixture
def files(tmp_path):
    rng = np.random.default_rng(0)
    return [
        save(tmp_path / f"{i}.png", rng.integers(0, 256, (6, 6), dtype=np.uint8)) for i in range(3)
    ]


def test_pixels_are_those_of_the_files(files):
    images = cached_images(files, None, 1)
    assert images.shape == (3, 1, 6, 6)
    for image, file in zip(images, files, strict=True):
        assert np.array_equal(image[0], np.asarray(Image.open(file)))


def test_a_second_start_decodes_nothing(files, monkeypatch):
    first = np.array(cached_images(files, None, 1))
    monkeypatch.setattr(Image, "open", lambda *_, **__: pytest.fail("decoded again"))
    second = cached_images(files, None, 1)
    assert isinstance(second, np.memmap)
    assert np.array_equal(first, second)


def test_a_changed_file_is_read_again(files):
    cached_images(files, None, 1)
    save(files[1], np.full((6, 6), 7, np.uint8))
    os.utime(files[1], ns=(0, 0))
    assert (cached_images(files, None, 1)[1] == 7).all()


@pytest.mark.parametrize(
    "damage", ["empty", "truncated", "header", "zip", "array alone", "other shape"]
)
def test_a_broken_cache_is_made_again(files, cache_dir, damage):
    expected = np.array(cached_images(files, None, 1))
    (stored,) = cache_dir.glob("*.npy")
    if damage == "empty":
        stored.write_bytes(b"")
    elif damage == "truncated":
        stored.write_bytes(stored.read_bytes()[:-20])
    elif damage == "header":
        stored.write_bytes(stored.read_bytes().replace(b"}", b"(", 1))
    elif damage == "zip":
        stored.write_bytes(b"PK\3\4" + stored.read_bytes()[4:])
    elif damage == "array alone":
        np.save(stored, np.zeros((3, 1, 6, 6), np.uint8))
    else:
        np.save(stored, np.zeros((2, 1, 6, 6), np.uint8))
    assert np.array_equal(cached_images(files, None, 1), expected)


def test_each_interpolation_has_an_array_of_its_own(files, cache_dir):
    by_default = cached_images(files, 3, 1)
    nearest = cached_images(files, 3, 1, interpolation="nearest")
    assert not np.array_equal(by_default, nearest)
    assert np.array_equal(cached_images(files, 3, 1, interpolation="bicubic"), by_default)
    assert len(list(cache_dir.iterdir())) == 2


def test_nothing_but_arrays_stays_in_the_cache(files, cache_dir):
    cached_images(files, None, 1)
    files[2].write_bytes(b"broken")
    with pytest.raises(InputError):
        cached_images(files, None, 1)
    assert {file.suffix for file in cache_dir.iterdir()} == {".npy"}
    with pytest.raises(InputError):
        cached_images(files[2:], None, 1)  # none of its files can be read
    assert len(list(cache_dir.iterdir())) == 2


def test_images_are_resized_on_request(files):
    assert cached_images(files, 4, 3).shape == (3, 3, 4, 4)
    flat = save(files[0], np.full((9, 5), 80, np.uint8))
    assert (cached_images([flat], 4, 1) == 80).all()


def test_images_of_different_sizes_need_a_size(files):
    save(files[1], np.zeros((4, 5), np.uint8))
    with pytest.raises(InputError, match=r"1\.png: is 5x4 where most are 6x6; --image-size"):
        cached_images(files, None, 1)
    assert cached_images(files, 6, 1).shape == (3, 1, 6, 6)


def test_a_cache_folder_that_cannot_be_written_is_named(files, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="--cache"):
        cached_images(files, None, 1, tmp_path / "file" / "cache")


def test_a_full_cache_folder_is_named_and_left_empty(files, cache_dir):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200, limits[1]))  # of 236 bytes
    try:
        with pytest.raises(InputError, match=rf"{cache_dir}.*--cache or PYG_AGFN_CACHE") as error:
            cached_images(files, None, 1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "\n" not in str(error.value)
    assert not list(cache_dir.iterdir())


def test_the_array_is_never_written_through_a_map(files, monkeypatch):
    modes = []
    original = np.memmap
    monkeypatch.setattr(
        np,
        "memmap",
        lambda file, dtype, mode, *rest: modes.append(mode) or original(file, dtype, mode, *rest),
    )
    cached_images(files, None, 1)
    assert modes == ["r"] * len(modes) != []  # a full disk would kill the process at a store


@pytest.mark.parametrize("size", [0, -3])
def test_a_size_below_a_pixel_is_refused(files, size):
    with pytest.raises(InputError, match=f"^--image-size must be at least 1 pixel, got {size}$"):
        cached_images(files, size, 1)
    with pytest.raises(InputError, match="--image-size"):
        image_file.resize_grey(np.zeros((2, 1, 4, 4), np.uint8), size)


def test_the_environment_decides_on_the_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("PYG_AGFN_CACHE", str(tmp_path / "a"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "b"))
    assert default_cache_dir() == tmp_path / "a"
    monkeypatch.delenv("PYG_AGFN_CACHE")
    assert default_cache_dir() == tmp_path / "b" / "pyg_agfn"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert default_cache_dir() == Path.home() / ".cache" / "pyg_agfn"
