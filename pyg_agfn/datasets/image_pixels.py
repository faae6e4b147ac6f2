"""Pixels of any mode that Pillow has, as uint8 of one kind: the right way up, of one size."""

from collections.abc import Iterator
from typing import Any, NamedTuple, get_args

import numpy as np
from PIL import Image, TiffImagePlugin

from pyg_agfn.choices import Interpolation as Interpolation
from pyg_agfn.choices import Resize as Resize
from pyg_agfn.errors import InputError

Pixels = np.ndarray[Any, np.dtype[np.uint8]]

#: Side of a square, or height and width; None leaves an image as large as it is.
Size = int | tuple[int, int] | None

#: Values that are white where pixels are whole numbers of more than 8 bits, or floats.
WHITE_INTEGERS = (255, 1023, 4095, 16383, 65535)
WHITE_FLOATS = (1, *WHITE_INTEGERS)

#: Pixels that are converted at once: memory for floats does not grow with the image.
STRIP = 1 << 20

#: What undoes each orientation that EXIF has. ``ImageOps.exif_transpose`` would also write the EXIF
#: block again, which fails where a block is broken.
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
ORIENTATION = 0x0112

#: TIFF's tags, and their values, where Pillow reads other pixels than the file holds.
BITS, PHOTOMETRIC, COLOR_MAP, SAMPLE_FORMAT = 258, 262, 320, 339
MIN_IS_WHITE, SIGNED = 0, 2


class UnreadableImageError(Exception):
    """Why a file is not used, in words that follow its name."""


class White(NamedTuple):
    """The values that are white in images of more than 8 bits a pixel, as a data set has them.

    Attributes:
        integer: Of 16 and 32-bit whole numbers; None: there are none, each file must tell.
        floating: Of floats; None: the same.
    """

    integer: int | None = None
    floating: int | None = None


#: Each image must tell by its own values.
UNKNOWN_WHITE = White()


def is_deep(mode: str) -> bool:
    """Whether pixels of a Pillow mode are one number of more than 8 bits."""
    return mode.startswith("I") or mode == "F"


def is_grey(mode: str) -> bool:
    """Whether a Pillow mode has no colour."""
    return mode in ("1", "L", "LA", "La") or is_deep(mode)


def check_resize(resize: str, interpolation: str = "bicubic") -> None:
    """Raises:
    InputError: One is none of :data:`Resize` or :data:`Interpolation`.
    """
    for name, value, choices in (
        ("resize", resize, get_args(Resize)),
        ("interpolation", interpolation, get_args(Interpolation)),
    ):
        if value not in choices:
            raise InputError(f"--{name} must be one of {', '.join(choices)}, got {value!r}")


def fit_image(
    image: Image.Image,
    size: Size,
    channels: int,
    resize: Resize = "stretch",
    white: White = UNKNOWN_WHITE,
    interpolation: Interpolation = "bicubic",
) -> Pixels:
    """One image as uint8 (C, H, W): grey or RGB, turned as its EXIF block says, antialiased.

    Pixels of more than 8 bits are divided by what is white. Transparency is laid over black. Of an
    animation, or a file of several pages, it is the first picture.

    Args:
        image: Any that Pillow has opened.
        size: What it is brought to.
        channels: 1 for grey, 3 for RGB.
        resize: How, if its shape is another.
        white: What is white in pixels of more than 8 bits.
        interpolation: How pixels between pixels are found.

    Raises:
        InputError: A size below one pixel, or an unknown ``resize`` or ``interpolation``.
        UnreadableImageError: What is white cannot be told, or Pillow reads such pixels wrongly.
    """
    check_resize(resize, interpolation)
    wide = _has_wide_channels(image)  # of the header: Pillow forgets it when it loads
    image.load()
    turn = _turn(image)
    _refuse_misread(image, wide)
    mode = "L" if channels == 1 else "RGB"
    if is_deep(image.mode):
        flat = _scale(image, white)
    elif set("Aa") & set(image.getbands()) or "transparency" in image.info:
        flat = _lay_over_black(image, mode)
    else:
        flat = image
    if flat.mode != mode:
        flat = flat.convert(mode)
    if turn is not None:
        flat = flat.transpose(turn)
    if size is not None:
        height, width = (size, size) if isinstance(size, int) else size
        if min(height, width) < 1:
            raise InputError(f"--image-size must be at least 1 pixel, got {min(height, width)}")
        flat = _bring_to(flat, (width, height), resize, _FILTERS[interpolation])
    pixels = np.asarray(flat, dtype=np.uint8)
    return pixels[None] if channels == 1 else pixels.transpose(2, 0, 1)


def turned_size(image: Image.Image) -> tuple[int, int]:
    """Height and width of an opened image once it is turned. Only a PNG may have to be loaded."""
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        # Pillow turns these when it loads; versions differ in the size that they have until then.
        width, height = image.tag_v2[256], image.tag_v2[257]
        turn = _exif_turn(image)
    else:
        width, height = image.size
        turn = None if width == height else _turn(image)
    return (width, height) if turn is not None and turn in _SIDEWAYS else (height, width)


_SIDEWAYS = {TURNS[value] for value in (5, 6, 7, 8)}


def _turn(image: Image.Image) -> Image.Transpose | None:
    """What turns a loaded image the right way up."""
    return None if isinstance(image, TiffImagePlugin.TiffImageFile) else _exif_turn(image)


def _exif_turn(image: Image.Image) -> Image.Transpose | None:
    if image.format == "PNG":
        image.load()  # the block may be behind the pixels; what is wrong with these is an error
    try:
        value = image.getexif().get(ORIENTATION)
    except MemoryError:
        raise
    except Exception:  # a broken block ends in whatever its parser meets first
        return None
    return TURNS.get(value) if isinstance(value, int) else None


_FILTERS = {name: Image.Resampling[name.upper()] for name in get_args(Interpolation)}


def _bring_to(
    image: Image.Image, size: tuple[int, int], resize: Resize, resampling: Image.Resampling
) -> Image.Image:
    """A grey or RGB image of another size, (width, height)."""
    if image.size == size:
        return image
    (width, height), (wanted_width, wanted_height) = image.size, size
    if resize == "crop":
        scale = min(width / wanted_width, height / wanted_height)
        kept = (max(1, round(wanted_width * scale)), max(1, round(wanted_height * scale)))
        left, top = (width - kept[0]) // 2, (height - kept[1]) // 2
        image = image.crop((left, top, left + kept[0], top + kept[1]))
    if resize != "pad":
        return image.resize(size, resampling)
    scale = min(wanted_width / width, wanted_height / height)
    # ImageOps.pad leaves nothing of an image whose shorter side rounds to no pixel.
    inner = (max(1, round(width * scale)), max(1, round(height * scale)))
    framed = Image.new(image.mode, size)
    corner = ((wanted_width - inner[0]) // 2, (wanted_height - inner[1]) // 2)
    framed.paste(image.resize(inner, resampling), corner)
    return framed


def _strips(image: Image.Image) -> Iterator[tuple[int, Image.Image]]:
    """The image in strips of some rows, each with its first row's number."""
    rows = max(1, STRIP // image.width)
    for top in range(0, image.height, rows):
        yield top, image.crop((0, top, image.width, min(top + rows, image.height)))


def _lay_over_black(image: Image.Image, mode: str) -> Image.Image:
    flat = Image.new(mode, image.size)
    for top, strip in _strips(image):
        if strip.mode == "La":  # has no other conversion
            strip = strip.convert("LA")
        strip = strip.convert("RGBA")
        black = Image.new("RGBA", strip.size, (0, 0, 0, 255))
        flat.paste(Image.alpha_composite(black, strip).convert(mode), (0, top))
    return flat


def highest_value(image: Image.Image) -> float:
    """The highest value of an image whose pixels are whole numbers of many bits, or floats.

    Raises:
        UnreadableImageError: One of them is negative, NaN or infinite.
    """
    highest = 0.0
    for _, strip in _strips(image):
        values = np.asarray(strip)
        if not np.isfinite(values).all():
            raise UnreadableImageError("holds pixels that are NaN or infinite; save it as 8 bits")
        if values.min() < 0:
            raise UnreadableImageError(
                f"holds pixels below 0 ({values.min():g}), or above what Pillow reads of 32 bits; "
                "save it as 8 bits"
            )
        highest = max(highest, float(values.max()))
    return highest


def _scale(image: Image.Image, white: White) -> Image.Image:
    """The image as 8 bits, by the value that is white in it."""
    top_value = _white_of(highest_value(image), image.mode == "F", white)
    inverted = (
        isinstance(image, TiffImagePlugin.TiffImageFile)
        and image.tag_v2.get(PHOTOMETRIC, MIN_IS_WHITE) == MIN_IS_WHITE
    )
    clear = image.info.get("transparency")
    flat = Image.new("L", image.size)
    for top, strip in _strips(image):
        stored = np.asarray(strip)
        values = stored.astype(np.float64)
        if inverted:  # Pillow turns 8 bits round itself, and no more
            values = top_value - values
        values *= 255 / top_value
        if isinstance(clear, int):
            values[stored == clear] = 0
        flat.paste(Image.fromarray(np.rint(values).astype(np.uint8)), (0, top))
    return flat


def _white_of(highest: float, floats: bool, white: White) -> int:
    """The value that is white in an image, by its data set, or else by its own highest value."""
    known = white.floating if floats else white.integer
    kind = "floats" if floats else "whole numbers"
    if highest > WHITE_INTEGERS[-1]:
        raise UnreadableImageError(
            f"holds {kind} up to {highest:g}, and at most 65535 is read; save it as 8 or 16 bits"
        )
    if known is None and highest > 0:
        # 8 or 12 bits in 16 look like a dark picture, floats above 255 like any.
        if (floats and highest > 255) or (not floats and highest <= 4095):
            raise UnreadableImageError(
                f"holds {kind} up to {highest:g}, which does not tell the value of white; save it "
                "as 8 bits"
            )
        known = next(value for value in (1, 255, 65535) if floats <= value and highest <= value)
    known = known or WHITE_INTEGERS[-1]
    if highest > known:
        raise UnreadableImageError(
            f"holds {kind} up to {highest:g}, where {known} is white in the images of the data "
            "set; save it as 8 bits"
        )
    if 0 < highest * 255 <= known:
        raise UnreadableImageError(
            f"holds {kind} up to {highest:g}, nearly black where {known} is white; save it as "
            "8 bits"
        )
    return known


def _has_wide_channels(image: Image.Image) -> bool:
    """Whether there are colours or alpha of 16 bits each, of which Pillow keeps the higher 8."""
    tiles = getattr(image, "tile", None)
    if not tiles or is_deep(image.mode):
        return False
    arguments = tiles[0][3]
    if image.format == "PPM":
        return isinstance(arguments, tuple) and int(arguments[-1] or 0) > 255
    return ";16" in str(arguments)


def _refuse_misread(image: Image.Image, wide: bool) -> None:
    """Refuses what Pillow reads without an error, but not as it is meant.

    Raises:
        UnreadableImageError: With the way out.
    """
    if image.mode == "LAB":
        raise UnreadableImageError("is in Lab colours; save it as RGB")
    if image.mode == "CMYK" and image.format in ("JPEG", "MPO") and "adobe" not in image.info:
        raise UnreadableImageError(
            "is a CMYK JPEG that does not say whether its inks are inverted; save it as RGB"
        )
    if wide:
        colours = [band for band in image.getbands() if band not in "Aa"]
        if all(np.asarray(image.getchannel(band)).max() <= 1 for band in colours):
            raise UnreadableImageError(
                "holds 16 bits a channel, of which the higher 8 are empty; save it as 8 bits"
            )
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        tags = image.tag_v2
        if image.mode == "L" and tags.get(SAMPLE_FORMAT) == (SIGNED,):
            raise UnreadableImageError("holds signed numbers; save it as 8 bits without a sign")
        if image.mode in ("P", "PA") and 0 < max(tags[COLOR_MAP]) < 256:
            raise UnreadableImageError(
                "has a palette of 8 bits where TIFF's has 16, so it would be black; save it as RGB"
            )
