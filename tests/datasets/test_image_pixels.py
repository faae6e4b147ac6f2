"""The right pixel values: turned, of many bits, inverted, and in another shape."""

import io
import struct
import zlib

import numpy as np
import pytest
from odd_images import chunk, tiff
from PIL import Image

from pyg_agfn.datasets.image_file import decode, open_image
from pyg_agfn.datasets.image_pixels import White, fit_image, turned_size
from pyg_agfn.errors import InputError

GREY = np.arange(36, dtype=np.uint8).reshape(6, 6) * 7
#: 32 wide and 16 high, of blocks that a JPEG keeps.
UPRIGHT = np.kron(
    np.random.default_rng(0).integers(0, 256, (2, 4, 3), dtype=np.uint8),
    np.ones((8, 8, 1), np.uint8),
)
#: What a camera stores for each orientation, so that EXIF's turn gives the upright picture.
STORED = {
    1: UPRIGHT,
    2: UPRIGHT[:, ::-1],
    3: UPRIGHT[::-1, ::-1],
    4: UPRIGHT[::-1],
    5: UPRIGHT.transpose(1, 0, 2),
    6: np.rot90(UPRIGHT, 1),
    7: UPRIGHT[::-1, ::-1].transpose(1, 0, 2),
    8: np.rot90(UPRIGHT, -1),
}
FORMS = {
    "jpg": {"quality": 100, "subsampling": 0},
    "png": {},
    "webp": {"lossless": True},
    "tif": {},
    "tiff": {"compression": "tiff_lzw"},
}


def oriented(value: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = value
    return exif


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("orientation", STORED)
def test_a_photo_is_turned_once_whatever_its_format(tmp_path, form, orientation):
    path = tmp_path / f"photo.{form}"
    image = Image.fromarray(np.ascontiguousarray(STORED[orientation]))
    image.save(path, exif=oriented(orientation), **FORMS[form])
    pixels = decode(path, None, 3).transpose(1, 2, 0).astype(int)
    assert pixels.shape == UPRIGHT.shape
    assert np.abs(pixels - UPRIGHT).max() <= 1  # a JPEG rounds
    with open_image(path) as opened:
        assert turned_size(opened) == UPRIGHT.shape[:2]


def test_a_png_may_say_behind_its_pixels_how_it_is_turned(tmp_path):
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(STORED[6])).save(buffer, "PNG")
    head, end = buffer.getvalue()[:-12], buffer.getvalue()[-12:]
    path = tmp_path / "late.png"
    path.write_bytes(head + chunk(b"eXIf", oriented(6).tobytes()[6:]) + end)
    assert np.array_equal(decode(path, None, 3).transpose(1, 2, 0), UPRIGHT)
    with open_image(path) as opened:
        assert turned_size(opened) == UPRIGHT.shape[:2]


@pytest.mark.filterwarnings("ignore")  # Pillow's, about the block
@pytest.mark.parametrize(
    "block", [b"", b"junk", b"II*\0\xff\xff\xff\xff", oriented(6).tobytes()[6:-12]]
)
@pytest.mark.parametrize("form", ["jpg", "png", "webp"])
def test_a_broken_exif_block_leaves_a_good_image_readable(tmp_path, form, block):
    path = tmp_path / f"photo.{form}"
    Image.fromarray(UPRIGHT).save(path, exif=b"Exif\0\0" + block, **FORMS[form])
    pixels = decode(path, None, 3).transpose(1, 2, 0).astype(int)
    if pixels.shape == UPRIGHT.shape:
        assert np.abs(pixels - UPRIGHT).max() <= 1
    else:  # what is left of the block says so
        assert np.abs(pixels - np.rot90(UPRIGHT, -1)).max() <= 1


def save(path, pixels):
    Image.fromarray(pixels).save(path)
    return path


@pytest.mark.parametrize(
    ("pixels", "white"),
    [
        (GREY / np.float32(255), White()),
        (GREY.astype(np.float32), White()),
        (GREY.astype(np.float32), White(floating=255)),
        (GREY * np.float32(257), White(floating=65535)),
        (GREY.astype(np.uint16) * 257, White()),
        (GREY.astype(np.uint16), White(integer=255)),
        (GREY.astype(np.int32), White(integer=255)),
        ((GREY * (4095 / 255)).round().astype(np.uint16), White(integer=4095)),
        ((GREY * (1023 / 255)).round().astype(np.uint16), White(integer=1023)),
        (GREY.astype(np.int32) * 257, White(integer=65535)),
        (np.zeros((6, 6), np.uint16), White()),
    ],
)
def test_many_bits_are_scaled_by_what_is_white(tmp_path, pixels, white):
    expected = GREY if pixels.any() else pixels
    found = decode(save(tmp_path / "deep.tif", pixels), None, 1, white=white)
    assert np.array_equal(found[0], expected)
    if pixels.dtype == np.uint16:
        found = decode(save(tmp_path / "deep.png", pixels), None, 3, white=white)
        assert np.array_equal(found, [expected] * 3)


FAULTY = GREY.astype(np.float32)


@pytest.mark.parametrize(
    ("pixels", "white", "complaint"),
    [
        (np.where(GREY == 7, np.nan, FAULTY), White(), "NaN or infinite"),
        (np.where(GREY == 7, np.inf, FAULTY), White(), "NaN or infinite"),
        (FAULTY - 1, White(), r"below 0 \(-1\)"),
        (FAULTY * 16, White(), "does not tell the value of white"),
        (FAULTY * 1e6, White(), "at most 65535 is read"),
        (FAULTY / 256, White(floating=255), "nearly black where 255 is white"),
        (GREY.astype(np.uint16), White(), "does not tell the value of white"),
        (GREY.astype(np.uint16) * 16, White(), "does not tell the value of white"),
        (GREY.astype(np.uint16), White(integer=65535), "nearly black where 65535 is white"),
        (GREY.astype(np.uint16) * 257, White(integer=4095), "4095 is white in the images"),
        (GREY.astype(np.int32) * 10**6, White(), "at most 65535 is read"),
        (GREY.astype(np.int32) - 1, White(), "below 0"),
    ],
)
def test_what_cannot_be_scaled_is_reported(tmp_path, pixels, white, complaint):
    path = save(tmp_path / "deep.tif", pixels.astype(pixels.dtype.newbyteorder("=")))
    with pytest.raises(InputError, match=rf"deep\.tif: holds .*{complaint}"):
        decode(path, None, 1, white=white)


@pytest.mark.parametrize("bits", [1, 8, 16])
def test_a_tiff_whose_lowest_value_is_white_is_inverted(tmp_path, bits):
    path = tmp_path / "inverted.tif"
    expected = GREY if bits > 1 else np.where(GREY > 127, 0, 255).astype(np.uint8)
    pixels = {
        1: np.packbits(GREY > 127, axis=1),
        8: 255 - GREY,
        16: 65535 - GREY.astype("<u2") * 257,
    }[bits]
    path.write_bytes(tiff(bits, 0, pixels.tobytes()))
    assert np.array_equal(decode(path, None, 1)[0], expected)


def test_big_endian_and_premultiplied_pixels(tmp_path):
    path = tmp_path / "image.tif"
    Image.fromarray(GREY.astype(">u2") * 257).save(path)
    assert np.array_equal(decode(path, None, 1)[0], GREY)


def test_ink_and_luminance_become_the_same_colours(tmp_path):
    for mode, name in (("CMYK", "cmyk.jpg"), ("CMYK", "cmyk.tif"), ("YCbCr", "ycc.jpg")):
        path = tmp_path / name
        options = FORMS["jpg"] if name.endswith("jpg") else {}
        Image.fromarray(UPRIGHT).convert(mode).save(path, **options)
        pixels = decode(path, None, 3).transpose(1, 2, 0).astype(int)
        assert np.abs(pixels - UPRIGHT).max() <= 2


def test_what_pillow_reads_otherwise_than_it_is_meant_is_reported(tmp_path):
    path = tmp_path / "image.tif"
    Image.new("LAB", (6, 6)).save(path)
    with pytest.raises(InputError, match="is in Lab colours; save it as RGB"):
        decode(path, None, 3)
    path.write_bytes(tiff(8, 1, GREY.tobytes(), {339: 2}))
    with pytest.raises(InputError, match="signed numbers"):
        decode(path, None, 1)
    path = tmp_path / "cmyk.jpg"
    Image.fromarray(UPRIGHT).convert("CMYK").save(path)
    content = path.read_bytes()
    start = content.index(b"\xff\xee")  # Adobe's marker
    (length,) = struct.unpack(">H", content[start + 2 : start + 4])
    path.write_bytes(content[:start] + content[start + 2 + length :])
    with pytest.raises(InputError, match="does not say whether its inks are inverted"):
        decode(path, None, 3)


@pytest.mark.parametrize("factor", [1, 257])
def test_colours_of_16_bits_are_cut_to_8_or_reported(tmp_path, factor):
    path = tmp_path / "wide.png"
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in UPRIGHT.astype(int) * factor)
    header = struct.pack(">IIBBBBB", 32, 16, 16, 2, 0, 0, 0)
    parts = [(b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts))
    if factor == 257:
        assert np.array_equal(decode(path, None, 3).transpose(1, 2, 0), UPRIGHT)
    else:
        with pytest.raises(InputError, match="16 bits a channel, of which the higher 8 are empty"):
            decode(path, None, 3)


#: A white square between dark sides: 12 wide, 4 high.
WIDE = np.concatenate([np.full((4, 4), v, np.uint8) for v in (20, 255, 60)], axis=1)


def test_other_shapes_are_stretched_cut_or_padded():
    image = Image.fromarray(WIDE)
    stretched, cut, padded = (
        fit_image(image, 12, 1, resize)[0] for resize in ("stretch", "crop", "pad")
    )
    assert np.array_equal(stretched[:, [0, 6, 11]], [[20, 255, 60]] * 12)
    assert (cut == 255).all()  # the square in the centre, and nothing of the sides
    assert np.array_equal(padded[4:8], WIDE)
    assert not padded[:4].any()
    assert not padded[8:].any()
    tall = Image.fromarray(WIDE.T)
    assert np.array_equal(fit_image(tall, 12, 1, "pad")[0], padded.T)
    assert np.array_equal(fit_image(tall, 12, 1, "crop")[0], cut.T)


def test_a_size_that_is_no_square_is_kept_to():
    image = Image.fromarray(WIDE)
    assert np.array_equal(fit_image(image, (4, 12), 1, "crop")[0], WIDE)
    assert np.array_equal(fit_image(image, (2, 4), 1, "crop")[0].shape, (2, 4))
    padded = fit_image(image, (8, 12), 1, "pad")[0]
    assert np.array_equal(padded[2:6], WIDE)


def test_a_line_of_pixels_stays_visible_between_bars():
    image = Image.new("L", (1, 1000), 255)
    padded = fit_image(image, 8, 1, "pad")[0]
    assert (padded.max(0) == [0, 0, 0, 255, 0, 0, 0, 0]).all()


@pytest.mark.parametrize("resize", ["stretch", "pad"])
@pytest.mark.parametrize("name", ["nearest", "bilinear", "bicubic", "lanczos"])
def test_pixels_between_pixels_are_found_as_asked_for(name, resize):
    pixels = np.random.default_rng(0).integers(0, 256, (9, 9), np.uint8)
    filters = {"nearest": 0, "lanczos": 1, "bilinear": 2, "bicubic": 3}  # Pillow's numbers
    expected = Image.fromarray(pixels).resize((5, 5), filters[name])
    found = fit_image(Image.fromarray(pixels), 5, 1, resize, interpolation=name)
    assert np.array_equal(found[0], expected)


def test_unknown_interpolations_are_refused():
    with pytest.raises(InputError, match="--interpolation must be one of nearest, bilinear, bicub"):
        fit_image(Image.new("L", (4, 4)), 2, 1, interpolation="linear")


def test_unknown_shapes_are_refused():
    with pytest.raises(InputError, match="--resize must be one of stretch, crop, pad"):
        fit_image(Image.new("L", (4, 4)), 2, 1, "squash")
