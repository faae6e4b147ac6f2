"""The memory that images take while they are decoded, bounded for all threads together."""

import math
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from PIL import Image, TiffImagePlugin

from pyg_agfn.errors import InputError

#: Bytes for all images that are decoded at the same time. One that takes more is decoded alone.
SHARED_BYTES = 1 << 30
#: Most bytes that one image may take.
MOST_BYTES = 2 << 30

#: Threads that decode at the same time: each also takes address space of its own.
THREADS = min(16, (os.cpu_count() or 1) + 1)

#: Bytes of a pixel in Pillow's memory: colours and alpha always take four.
STORED_BYTES = {"1": 1, "L": 1, "P": 1}
#: Bytes a pixel that the format's decoder takes beside the image: whole frames, or copies of them.
DECODER_BYTES = {"BMP": 2, "PPM": 8, "TIFF": 8, "WEBP": 12}

#: TIFF's tags.
TILE_WIDTH, TILE_LENGTH = 322, 323


class OutOfMemoryError(InputError):
    """There is not the memory that an image takes: nothing is wrong with the image."""


class MemoryBudget:
    """Bytes that threads share: who takes some waits until there are as many.

    Args:
        total: All of them.
    """

    def __init__(self, total: int) -> None:
        self.total = total
        #: Bytes that are taken.
        self.taken = 0
        self._changed = threading.Condition()

    @contextmanager
    def take(self, count: int) -> Iterator[None]:
        """Holds ``count`` bytes, or all of them if there are fewer in the budget.

        A thread must not take more while it holds some: two that do would wait for each other.
        """
        count = min(count, self.total)
        with self._changed:
            self._changed.wait_for(lambda: self.taken + count <= self.total)
            self.taken += count
        try:
            yield
        finally:
            with self._changed:
                self.taken -= count
                self._changed.notify_all()


#: Of all images that this process decodes.
DECODING = MemoryBudget(SHARED_BYTES)


def bytes_to_decode(image: Image.Image, size: tuple[int, int] | None, channels: int) -> int:
    """Upper bound of what it takes to decode an image and bring it to a size, by its header.

    Args:
        image: Opened, not loaded.
        size: Height and width that it is brought to; None leaves it as it is.
        channels: 1 for grey, 3 for RGB.
    """
    stored = 2 if image.mode.startswith("I;16") else STORED_BYTES.get(image.mode, 4)
    final = 1 if channels == 1 else 4
    decoder = DECODER_BYTES.get(image.format or "", 0)
    if image.info.get("progressive"):  # libjpeg keeps all coefficients, two bytes each
        decoder += 2 * len(image.getbands())
    # The converted image, and its turned copy.
    area = image.width * image.height
    total = area * (stored + 2 * final) + max(area, _tile_area(image)) * decoder
    if size is None:  # the array, and Pillow's copy of the pixels that it is made of
        total += area * 2 * channels
    else:
        # Pillow's tables of weights, and the image between its horizontal and its vertical pass;
        # with other sides where the image is turned.
        longest = max(image.size)
        total += 32 * (image.width + image.height) + final * longest * max(size)
    return total


def _tile_area(image: Image.Image) -> int:
    """Pixels of a TIFF's tile, which may be larger than the image."""
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return 0
    sides = [image.tag_v2.get(tag, 0) for tag in (TILE_WIDTH, TILE_LENGTH)]
    return math.prod(side if isinstance(side, int) else 0 for side in sides)


def is_free(count: int) -> bool:
    """Whether this process could have so many bytes more. They are not touched."""
    try:
        np.empty(count, np.uint8)
    except MemoryError:
        return False
    return True
