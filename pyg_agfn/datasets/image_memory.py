"""The memory that images take while they are decoded, bounded for all threads together."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from PIL import Image

from pyg_agfn.errors import InputError

#: Bytes for all images that are decoded at the same time. One that takes more is decoded alone.
SHARED_BYTES = 1 << 30
#: Most bytes that one image may take.
MOST_BYTES = 2 << 30

#: Bytes of a pixel in Pillow's memory: colours and alpha always take four.
STORED_BYTES = {"1": 1, "L": 1, "P": 1}
#: Bytes a pixel that the format's decoder takes beside the image: whole frames, or copies of them.
DECODER_BYTES = {"BMP": 2, "PPM": 8, "TIFF": 8, "WEBP": 12}


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
    # The converted image, and its turned copy or the array of its pixels.
    total = image.width * image.height * (stored + 2 * final + decoder)
    if size is not None:
        # Pillow's tables of weights, and the image between its horizontal and its vertical pass;
        # with other sides where the image is turned.
        longest = max(image.size)
        total += 32 * (image.width + image.height) + final * longest * max(size)
    return total


def is_free(count: int) -> bool:
    """Whether this process could have so many bytes more. They are not touched."""
    try:
        np.empty(count, np.uint8)
    except MemoryError:
        return False
    return True
