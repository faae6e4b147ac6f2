"""An image file, whatever it holds, as pixels of one kind."""

import contextlib
import io
import os
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image, UnidentifiedImageError

from pyg_agfn.datasets.image_memory import (
    DECODING,
    MOST_BYTES,
    OutOfMemoryError,
    bytes_to_decode,
    is_free,
)
from pyg_agfn.datasets.image_pixels import (
    UNKNOWN_WHITE,
    Interpolation,
    Pixels,
    Resize,
    Size,
    UnreadableImageError,
    White,
    fit_image,
)
from pyg_agfn.errors import InputError

T = TypeVar("T")

#: What is read, by the file's content and not by its name. Pillow knows more, but among these are
#: some that start programs (PostScript) and many that no data set has.
FORMATS = ("PNG", "JPEG", "BMP", "GIF", "PPM", "TIFF", "WEBP")

#: Most bytes of a file: some decoders read all of it before they know what it is.
MOST_FILE_BYTES = 1 << 30


class DeniedMemoryError(UnreadableImageError):
    """Memory was denied, though there is enough: threads held it, or the file asks for nonsense."""


@dataclass(frozen=True)
class ImageBytes:
    """An image file in memory, such as an upload.

    Attributes:
        name: What it is called in messages; it is never opened.
        content: The file's bytes.
    """

    name: str
    content: bytes

    def __str__(self) -> str:
        return self.name


def resize_grey(
    images: Pixels,
    size: int | None,
    resize: Resize = "stretch",
    interpolation: Interpolation = "bicubic",
) -> Pixels:
    """Grey images in memory, (n, 1, H, W), brought to a square of ``size`` if given."""
    if size is None or images.shape[2:] == (size, size):
        return images
    return np.stack(
        [
            fit_image(Image.fromarray(image[0]), size, 1, resize, interpolation=interpolation)
            for image in images
        ]
    )


@contextlib.contextmanager
def open_image(
    path: Path | ImageBytes, size: Size = None, channels: int = 3
) -> Iterator[Image.Image]:
    """The image of a file, of which the header only is read; pixels are when they are asked for.

    Args:
        path: The file, or its bytes.
        size: What the image is to be brought to, for how much memory that takes.
        channels: 1 for grey, 3 for RGB, for the same.

    Raises:
        UnreadableImageError: Here or inside: the file is missing, no image, truncated, or says that
            it is too large to be one.
        OutOfMemoryError: There is not enough memory; the image may be good.
    """
    # Opening a pipe would wait for its other end.
    if not isinstance(path, ImageBytes) and not os.path.isfile(path):
        there = os.path.lexists(path)
        raise UnreadableImageError("is no file" if there else "there is no such file")
    image: Image.Image | None = None
    sides = (size, size) if isinstance(size, int) else size
    needed = 0
    try:
        count = len(path.content) if isinstance(path, ImageBytes) else os.path.getsize(path)
        if not count:  # some of the system's own look so, and wait for ever when they are read
            raise ValueError("it is empty")
        if count > MOST_FILE_BYTES:
            raise ValueError(f"it is larger than {MOST_FILE_BYTES >> 20} MiB")
        with DECODING.take(count):
            opened = io.BytesIO(path.content) if isinstance(path, ImageBytes) else path
            image = Image.open(opened, formats=FORMATS)
        # Up to twice its limit Pillow only warns, and threads share the warnings' filters.
        limit = Image.MAX_IMAGE_PIXELS
        if limit is not None and image.width * image.height > limit:
            raise ValueError(f"{image.width}x{image.height} is more than {limit} pixels")
        needed = bytes_to_decode(image, sides, channels)
        if needed > MOST_BYTES:
            raise ValueError(
                f"{image.width}x{image.height} would take {needed >> 20} MiB of memory, more than "
                f"{MOST_BYTES >> 20}; make it smaller"
            )
        yield image
    except (InputError, UnreadableImageError):
        raise
    except UnidentifiedImageError:
        raise UnreadableImageError(
            f"cannot be read (its content is none of {', '.join(FORMATS)})"
        ) from None
    except Exception as error:  # Pillow's decoders raise what they like on broken files
        if image is not None:
            image.close()
        traceback.clear_frames(error.__traceback__)  # they hold what was made of the image
        # Some of them call it broken data, too, when they get no memory.
        if needed <= MOST_BYTES and not is_free(needed):
            raise OutOfMemoryError(
                f"image {path}: decoding it takes up to {-(-needed >> 20)} MiB of memory, and "
                "there is less; free some, or make the image smaller"
            ) from None
        if isinstance(error, MemoryError):
            raise DeniedMemoryError("cannot be read (it asks for too much memory)") from None
        reason = str(error).replace("\n", " ") or type(error).__name__
        raise UnreadableImageError(f"cannot be read ({reason})") from None
    finally:
        if image is not None:
            image.close()  # gives the pixels' memory back, which leaving `with image` does not


def load_image(
    path: Path | ImageBytes, size: Size, channels: int, use: Callable[[Image.Image], T]
) -> T:
    """What ``use`` makes of a file's image; it may load the pixels, and must not keep them.

    Threads that load others wait, where all of them would take more than
    :data:`~pyg_agfn.datasets.image_memory.SHARED_BYTES`.

    Args:
        path: The file.
        size: What ``use`` brings the image to, for how much memory that takes.
        channels: 1 for grey, 3 for RGB, for the same.
        use: Is given the image, not loaded.

    Raises:
        UnreadableImageError: See :func:`open_image`.
        OutOfMemoryError: There is not the memory for it, with no other image in memory.
    """
    sides = (size, size) if isinstance(size, int) else size

    def load(alone: bool) -> T:
        with open_image(path, size, channels) as image:
            needed = bytes_to_decode(image, sides, channels)
            with DECODING.take(DECODING.total if alone else needed):
                try:
                    return use(image)
                finally:
                    image.close()

    with contextlib.suppress(OutOfMemoryError, DeniedMemoryError):
        return load(alone=False)
    return load(alone=True)


def read_image(
    path: Path | ImageBytes,
    size: Size,
    channels: int,
    resize: Resize = "stretch",
    white: White = UNKNOWN_WHITE,
    interpolation: Interpolation = "bicubic",
) -> Pixels:
    """An image file as :func:`fit_image` gives it.

    Raises:
        UnreadableImageError: See :func:`load_image`.
        OutOfMemoryError: The same.
    """
    return load_image(
        path,
        size,
        channels,
        lambda image: fit_image(image, size, channels, resize, white, interpolation),
    )


def decode(
    path: Path | ImageBytes,
    size: Size,
    channels: int,
    resize: Resize = "stretch",
    white: White = UNKNOWN_WHITE,
    interpolation: Interpolation = "bicubic",
) -> Pixels:
    """An image file as :func:`fit_image` gives it, for callers of one file.

    Raises:
        InputError: The file is missing, no image, truncated, or too large to be one.
        OutOfMemoryError: There is not the memory for it.
    """
    try:
        return read_image(path, size, channels, resize, white, interpolation)
    except UnreadableImageError as error:
        raise InputError(f"image {path}: {error}; fix or remove it") from None
