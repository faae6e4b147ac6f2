import os
import struct
import threading
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile, PngImagePlugin

from pyg_agfn.datasets import image_file
from pyg_agfn.datasets.image_file import decode
from pyg_agfn.errors import InputError

GREY = np.arange(36, dtype=np.uint8).reshape(6, 6) * 7
RGB = np.stack([GREY, GREY[::-1], GREY.T], axis=-1)
OPAQUE = np.dstack([RGB, np.full((6, 6), 255, np.uint8)])
FIRST, SECOND = Image.fromarray(RGB), Image.fromarray(255 - RGB)


def save(path: Path, pixels, **options) -> Path:
    Image.fromarray(np.asarray(pixels)).save(path, **options)
    return path


def test_every_kind_of_image_is_read_sensibly(tmp_path):
    grey, rgb, opaque = GREY, RGB, OPAQUE
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


@pytest.mark.parametrize("form", ["GIF", "PNG", "TIFF", "WEBP"])
def test_of_several_pictures_the_first_is_taken_whatever_the_ending(tmp_path, form):
    path = tmp_path / "face.png"
    options = {"lossless": True} if form == "WEBP" else {}
    with path.open("w+b") as file:
        FIRST.save(file, form, save_all=True, append_images=[SECOND], **options)
    with Image.open(path) as image:
        assert (image.format, image.n_frames) == (form, 2)
    assert np.array_equal(decode(path, None, 3), RGB.transpose(2, 0, 1))


@pytest.mark.parametrize(
    ("mode", "channels", "expected"),
    [
        ("1", 1, np.where(GREY > 127, 255, 0)[None]),
        ("I", 1, GREY[None]),
        ("LA", 1, GREY[None]),
        ("P", 1, GREY[None]),
        ("PA", 3, np.stack([GREY] * 3)),
        ("F", 1, GREY[None]),
    ],
)
def test_modes_that_are_rare_become_grey_or_rgb(tmp_path, mode, channels, expected):
    grey = Image.fromarray(GREY)
    if mode == "1":
        image = grey.point(lambda value: 255 * (value > 127), "1")
    elif mode == "I":
        image = Image.fromarray(GREY.astype(np.int32) * 257)
    else:
        image = grey.convert(mode)
    ending = "png" if mode in ("1", "LA", "P") else "tif"
    path = tmp_path / f"image.{ending}"
    image.save(path)
    assert np.array_equal(decode(path, None, channels), expected)


def png(width: int, height: int, *chunks: tuple[bytes, bytes]) -> bytes:
    def chunk(name: bytes, data: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(name + data))
        return struct.pack(">I", len(data)) + name + data + checksum

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rest = [*chunks, (b"IDAT", zlib.compress(bytes((width + 1) * min(height, 8)))), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(chunk(*c) for c in rest)


def tiff(tags: int) -> bytes:
    """A directory that says how many tags it has, and has none."""
    return b"II*\0\x08\0\0\0" + struct.pack("<H", tags)


def big_tiff(tags: int) -> bytes:
    return b"II+\0\x08\0\0\0\x10\0\0\0\0\0\0\0" + struct.pack("<Q", tags)


BOMB = zlib.compress(bytes(PngImagePlugin.MAX_TEXT_CHUNK + 2))
HOSTILE = {
    "zero bytes": b"",
    "text": b"not an image",
    "100000x100000": png(100_000, 8).replace(
        struct.pack(">II", 100_000, 8), struct.pack(">II", 100_000, 100_000)
    ),
    "0 pixels": png(0, 0),
    "text that inflates": png(4, 4, (b"zTXt", b"note\0\0" + BOMB)),
    "a profile that inflates": png(4, 4, (b"iCCP", b"icc\0\0" + BOMB)),
    "a directory of 65535 tags": tiff(0xFFFF),
    "a directory of 2^63 tags": big_tiff(1 << 63),
    "PostScript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n",
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_hostile_files_are_one_line_and_no_pixel_is_read(tmp_path, monkeypatch, content):
    path = tmp_path / "face.png"
    path.write_bytes(content)
    monkeypatch.setattr(
        ImageFile.ImageFile, "load_prepare", lambda self: pytest.fail("memory for pixels is taken")
    )
    with pytest.raises(InputError, match=r"^image .*face\.png: cannot be read \(.+\)") as error:
        decode(path, None, 3)
    assert "\n" not in str(error.value)


def test_the_pngs_of_these_tests_are_whole_but_for_their_bomb(tmp_path):
    path = tmp_path / "face.png"
    path.write_bytes(png(4, 4, (b"zTXt", b"note\0\0" + zlib.compress(b"short"))))
    assert (decode(path, None, 1) == 0).all()


def test_what_is_no_file_is_not_opened(tmp_path):
    pipe, folder, link = (tmp_path / f"{name}.png" for name in ("pipe", "folder", "link"))
    os.mkfifo(pipe)  # to open it would wait for ever
    folder.mkdir()
    link.symlink_to(tmp_path / "gone.png")
    for path in (pipe, folder, link):
        with pytest.raises(InputError, match=rf"{path.name}: is no file"):
            decode(path, None, 1)
    with pytest.raises(InputError, match=r"there is no such file"):
        decode(tmp_path / "a\0b.png", None, 1)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_unreadable_images_are_named(tmp_path, monkeypatch):
    files = [save(tmp_path / f"{i}.png", GREY) for i in range(2)]
    whole = files[0].read_bytes()
    for content in (b"", b"not an image", whole[: len(whole) // 2]):
        files[0].write_bytes(content)
        with pytest.raises(InputError, match=r"0\.png: cannot be read") as error:
            decode(files[0], None, 1)
        assert "\n" not in str(error.value)
    with pytest.raises(InputError, match=r"gone\.png: there is no such file"):
        decode(tmp_path / "gone.png", None, 1)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20)
    with pytest.raises(InputError, match=r"1\.png: cannot be read.*pixels"):
        decode(files[1], None, 1)


def test_threads_leave_the_warning_filters_as_they_were(tmp_path, monkeypatch):
    files = [save(tmp_path / f"{i}.png", GREY) for i in range(2)]
    entered = {str(file): threading.Event() for file in files[:2]}
    leave = {str(file): threading.Event() for file in files[:2]}

    def wait(image, *rest):
        entered[image.filename].set()
        assert leave[image.filename].wait(5)

    monkeypatch.setattr(image_file, "fit_image", wait)
    before = list(warnings.filters)
    threads = [threading.Thread(target=decode, args=(file, None, 1)) for file in files[:2]]
    for thread, file in zip(threads, files, strict=False):
        thread.start()
        assert entered[str(file)].wait(5)
    for thread, file in zip(threads, files, strict=False):  # the first to come is the first to go
        leave[str(file)].set()
        thread.join(5)
    assert list(warnings.filters) == before
