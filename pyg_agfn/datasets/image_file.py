"""An image file, whatever it holds, as pixels of one kind."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from pyg_agfn.errors import InputError

Pixels = np.ndarray[Any, np.dtype[np.uint8]]

#: Side of a square, or height and width; None leaves an image as large as it is.
Size = int | tuple[int, int] | None

#: What is read, by the file's content and not by its name. Pillow knows more, but among these are
#: some that start programs (PostScript) and many that no data set has.
FORMATS = ("PNG", "JPEG", "BMP", "GIF", "PPM", "TIFF", "WEBP")


class UnreadableImageError(Exception):
    """Why a file is not used, in words that follow its name."""


def fit_image(image: Image.Image, size: Size, channels: int) -> Pixels:
    """One image as uint8 (C, H, W): grey or RGB, of ``size`` if given, antialiased.

    16-bit grey is divided by 257, transparency is laid over black. Of an animation, or a file of
    several pages, it is the first picture.

    Raises:
        InputError: A size below one pixel.
    """
    if image.mode.startswith("I"):  # 16 bits, or 32 that hold 16
        grey = np.asarray(image, dtype=np.float64) / 257
        image = Image.fromarray(grey.round().clip(0, 255).astype(np.uint8))
    if "A" in image.getbands() or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, (0, 0, 0, 255)), image)
    image = image.convert("L" if channels == 1 else "RGB")
    if size is not None:
        height, width = (size, size) if isinstance(size, int) else size
        if min(height, width) < 1:
            raise InputError(f"--image-size must be at least 1 pixel, got {min(height, width)}")
        if image.size != (width, height):
            image = image.resize((width, height), Image.Resampling.BICUBIC)
    pixels = np.asarray(image, dtype=np.uint8)
    return pixels[None] if channels == 1 else pixels.transpose(2, 0, 1)


def resize_grey(images: Pixels, size: int | None) -> Pixels:
    """Grey images in memory, (n, 1, H, W), brought to a square of ``size`` if given."""
    if size is None or images.shape[2:] == (size, size):
        return images
    return np.stack([fit_image(Image.fromarray(image[0]), size, 1) for image in images])


@contextmanager
def open_image(path: Path) -> Iterator[Image.Image]:
    """The image of a file, of which the header only is read; pixels are when they are asked for.

    Raises:
        UnreadableImageError: Here or inside: the file is missing, no image, truncated, or says that
            it is too large to be one.
    """
    if not os.path.isfile(path):  # opening a pipe would wait for its other end
        there = os.path.lexists(path)
        raise UnreadableImageError("is no file" if there else "there is no such file")
    try:
        with Image.open(path, formats=FORMATS) as image:
            # Up to twice its limit Pillow only warns, and threads share the warnings' filters.
            limit = Image.MAX_IMAGE_PIXELS
            if limit is not None and image.width * image.height > limit:
                raise ValueError(f"{image.width}x{image.height} is more than {limit} pixels")
            yield image
    except InputError:
        raise
    except UnidentifiedImageError:
        raise UnreadableImageError(
            f"cannot be read (its content is none of {', '.join(FORMATS)})"
        ) from None
    except Exception as error:  # Pillow's decoders raise what they like on broken files
        reason = str(error).replace("\n", " ") or type(error).__name__
        raise UnreadableImageError(f"cannot be read ({reason})") from None


def read_image(path: Path, size: Size, channels: int) -> Pixels:
    """An image file as :func:`fit_image` gives it.

    Raises:
        UnreadableImageError: See :func:`open_image`.
    """
    with open_image(path) as image:
        return fit_image(image, size, channels)


def decode(path: Path, size: Size, channels: int) -> Pixels:
    """An image file as :func:`fit_image` gives it, for callers of one file.

    Raises:
        InputError: The file is missing, no image, truncated, or too large to be one.
    """
    try:
        return read_image(path, size, channels)
    except UnreadableImageError as error:
        raise InputError(f"image {path}: {error}; mend or remove it") from None
