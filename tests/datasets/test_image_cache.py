import os
import resource
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pyg_agfn.datasets import image_cache
from pyg_agfn.datasets.image_cache import cached_images, decode, default_cache_dir
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


def test_a_second_start_decodes_one_image_only(files, monkeypatch):
    first = np.array(cached_images(files, None, 1))
    decoded = []
    original = image_cache.decode
    monkeypatch.setattr(
        image_cache, "decode", lambda path, *rest: decoded.append(path) or original(path, *rest)
    )
    second = cached_images(files, None, 1)
    assert decoded == files[:1]  # for the shape
    assert isinstance(second, np.memmap)
    assert np.array_equal(first, second)


def test_a_changed_file_is_read_again(files):
    cached_images(files, None, 1)
    save(files[1], np.full((6, 6), 7, np.uint8))
    os.utime(files[1], ns=(0, 0))
    assert (cached_images(files, None, 1)[1] == 7).all()


@pytest.mark.parametrize("damage", ["empty", "truncated", "header", "zip", "other shape"])
def test_a_broken_cache_is_made_anew(files, cache_dir, damage):
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
    else:
        np.save(stored, np.zeros((2, 1, 6, 6), np.uint8))
    assert np.array_equal(cached_images(files, None, 1), expected)


def test_nothing_but_the_array_stays_in_the_cache(files, cache_dir):
    cached_images(files, None, 1)
    files[2].write_bytes(b"broken")
    with pytest.raises(InputError):
        cached_images(files, None, 1)
    assert len(list(cache_dir.iterdir())) == 1


def test_images_are_resized_on_request(files):
    assert cached_images(files, 4, 3).shape == (3, 3, 4, 4)
    flat = save(files[0], np.full((9, 5), 80, np.uint8))
    assert (decode(flat, 4, 1) == 80).all()


def test_images_of_different_sizes_need_a_size(files):
    save(files[1], np.zeros((4, 5), np.uint8))
    with pytest.raises(InputError, match=r"1\.png: is 5x4 where 0\.png is 6x6.*--image-size"):
        cached_images(files, None, 1)
    assert cached_images(files, 6, 1).shape == (3, 1, 6, 6)


def test_every_kind_of_image_is_read_sensibly(tmp_path):
    grey = np.arange(36, dtype=np.uint8).reshape(6, 6) * 7
    rgb = np.stack([grey, grey[::-1], grey.T], axis=-1)
    opaque = np.dstack([rgb, np.full((6, 6), 255, np.uint8)])
    assert np.array_equal(decode(save(tmp_path / "l.png", grey), None, 1)[0], grey)
    assert np.array_equal(decode(save(tmp_path / "l.png", grey), None, 3)[2], grey)
    assert np.array_equal(decode(save(tmp_path / "rgb.png", rgb), None, 3), rgb.transpose(2, 0, 1))
    assert np.array_equal(decode(save(tmp_path / "a.png", opaque), None, 3), rgb.transpose(2, 0, 1))
    wide = grey.astype(np.uint16) * 257
    assert np.array_equal(decode(save(tmp_path / "16.png", wide), None, 1)[0], grey)
    Image.fromarray(rgb).quantize(256).save(tmp_path / "p.png")
    assert np.array_equal(decode(tmp_path / "p.png", None, 3), rgb.transpose(2, 0, 1))
    Image.fromarray(rgb).convert("CMYK").save(tmp_path / "cmyk.tif")
    assert np.array_equal(decode(tmp_path / "cmyk.tif", None, 3), rgb.transpose(2, 0, 1))


def test_transparency_is_black(tmp_path):
    clear = np.dstack([np.full((4, 4, 3), 200, np.uint8), np.zeros((4, 4), np.uint8)])
    assert (decode(save(tmp_path / "clear.png", clear), None, 1) == 0).all()


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_unreadable_images_are_named(files, tmp_path, monkeypatch):
    whole = files[0].read_bytes()
    for content in (b"", b"not an image", whole[: len(whole) // 2]):
        files[0].write_bytes(content)
        with pytest.raises(InputError, match=r"0\.png: cannot be read") as error:
            decode(files[0], None, 1)
        assert "\n" not in str(error.value)
    with pytest.raises(InputError, match=r"gone\.png: there is no such file"):
        cached_images([files[1], tmp_path / "gone.png"], None, 1)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20)
    with pytest.raises(InputError, match=r"1\.png: cannot be read.*pixels"):
        decode(files[1], None, 1)


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
    original = np.lib.format.open_memmap
    monkeypatch.setattr(
        np.lib.format,
        "open_memmap",
        lambda *args, mode="r+", **options: modes.append(mode) or original(*args, mode, **options),
    )
    cached_images(files, None, 1)
    assert set(modes) == {"r"}  # a full disk would kill the process at a store


def test_threads_leave_the_warning_filters_as_they_were(files, monkeypatch):
    entered = {str(file): threading.Event() for file in files[:2]}
    leave = {str(file): threading.Event() for file in files[:2]}

    def wait(image, *rest):
        entered[image.filename].set()
        assert leave[image.filename].wait(5)

    monkeypatch.setattr(image_cache, "fit_image", wait)
    before = list(warnings.filters)
    threads = [threading.Thread(target=decode, args=(file, None, 1)) for file in files[:2]]
    for thread, file in zip(threads, files, strict=False):
        thread.start()
        assert entered[str(file)].wait(5)
    for thread, file in zip(threads, files, strict=False):  # the first to come is the first to go
        leave[str(file)].set()
        thread.join(5)
    assert list(warnings.filters) == before


@pytest.mark.parametrize("size", [0, -3])
def test_a_size_below_a_pixel_is_refused(files, size):
    with pytest.raises(InputError, match=f"^--image-size must be at least 1 pixel, got {size}$"):
        cached_images(files, size, 1)
    with pytest.raises(InputError, match="--image-size"):
        image_cache.resize_grey(np.zeros((2, 1, 4, 4), np.uint8), size)


def test_the_environment_decides_on_the_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("PYG_AGFN_CACHE", str(tmp_path / "a"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "b"))
    assert default_cache_dir() == tmp_path / "a"
    monkeypatch.delenv("PYG_AGFN_CACHE")
    assert default_cache_dir() == tmp_path / "b" / "pyg_agfn"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert default_cache_dir() == Path.home() / ".cache" / "pyg_agfn"
