"""What the images of a data set have in common: colour, shape, and which value is white."""

import contextlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image
from torch import Tensor

from pyg_agfn.datasets.image_cache import Pixels, cached_array
from pyg_agfn.datasets.image_file import load_image
from pyg_agfn.datasets.image_memory import THREADS
from pyg_agfn.datasets.image_pixels import (
    WHITE_FLOATS,
    WHITE_INTEGERS,
    Resize,
    UnreadableImageError,
    White,
    highest_value,
    is_deep,
    is_grey,
    turned_size,
)

#: What is known of an image. ``highest`` is 0 where its pixels are of 8 bits, or not to be used.
RECORD = np.dtype(
    [
        ("height", "<u4"),
        ("width", "<u4"),
        ("coloured", "?"),
        ("floats", "?"),
        ("highest", "<f8"),
    ]
)

#: Images of lower values than this look black.
DARK = 8


class Survey(NamedTuple):
    """What the headers of the images that can be read say, and the pixels of the deep ones.

    Attributes:
        coloured: Whether any has colours.
        white: What is white in those of more than 8 bits.
        total: Number of images.
        not_square: Those whose sides differ, once they are turned.
    """

    coloured: bool
    white: White
    total: int
    not_square: int

    def notes(self, size: int | None, resize: Resize) -> list[str]:
        """Lines that the user should read before the images are used.

        Args:
            size: Side that the images are brought to.
            resize: How.
        """
        lines = []
        if size is not None and resize == "stretch" and self.not_square:
            are = "is" if self.not_square == 1 else "are"
            lines.append(
                f"{self.not_square:,} of {self.total:,} images {are} not square: stretched to "
                f"{size}x{size}; --resize crop or pad keep their shape"
            )
        integer, floating = self.white
        if integer is not None and integer != WHITE_INTEGERS[-1]:
            lines.append(
                f"no image of 16 bits holds a value above {integer}: this is taken as white"
            )
        if floating is not None and floating != WHITE_FLOATS[0]:
            lines.append(f"images of floats hold values up to {floating}: this is taken as white")
        return lines


def survey_images(files: Sequence[Path], cache_dir: Path | None = None) -> Survey:
    """Reads the headers of images, and the pixels of those of more than 8 bits; once.

    What is white is decided for the whole data set: a dark image of 16 bits and one that holds 8
    bits in 16 look alike, and scaling each by its own highest value would make all equally bright.
    It is the lowest of 255, 1023, 4095, 16383 and 65535 (8, 10, 12, 14 and 16 bits) that no image
    exceeds, of floats also 1.

    Args:
        files: All images of the data set, of every split. Those that cannot be read are passed
            over: whoever decodes them says so.
        cache_dir: Folder for what is found.

    Raises:
        InputError: The cache folder cannot be written, or there is not the memory for an image.
    """

    def look(path: Path) -> Pixels | str:
        try:
            return load_image(path, None, 1, _look_at)
        except UnreadableImageError as error:
            return str(error)

    def rows() -> Iterator[Pixels | str]:
        with ThreadPoolExecutor(THREADS) as pool:
            yield from pool.map(look, files)

    stored = cached_array(
        files,
        ("survey", RECORD),
        len(files),
        rows,
        cache_dir,
        lambda found: all(isinstance(look(files[i]), str) for i in found.unreadable),
    )
    records = np.frombuffer(stored.images.tobytes(), RECORD)
    if len(stored.unreadable) == len(files):
        records = records[:0]
    deep = records[records["highest"] > 0]
    return Survey(
        bool(records["coloured"].any()),
        White(
            _lowest_white(deep[~deep["floats"]]["highest"], WHITE_INTEGERS),
            _lowest_white(deep[deep["floats"]]["highest"], WHITE_FLOATS),
        ),
        len(records),
        int((records["height"] != records["width"]).sum()),
    )


def _look_at(image: Image.Image) -> Pixels:
    """The image's :data:`RECORD`, as bytes."""
    record = np.zeros((), RECORD)
    record["coloured"] = not is_grey(image.mode)
    record["floats"] = image.mode == "F"
    record["height"], record["width"] = turned_size(image)
    if is_deep(image.mode):
        # What is wrong with the values is said when they are decoded.
        with contextlib.suppress(UnreadableImageError):
            highest = highest_value(image)
            record["highest"] = highest if highest <= WHITE_INTEGERS[-1] else 0
    return np.frombuffer(record.tobytes(), np.uint8)


def _lowest_white(highest: Pixels, whites: Sequence[int]) -> int | None:
    """The lowest of ``whites`` that no value exceeds; None without values."""
    if not len(highest):
        return None
    return next(white for white in whites if highest.max() <= white)


def note_on_brightness(images: Tensor) -> list[str]:
    """A line if no image of (n, C, H, W) shows anything: each is one value, or nearly black."""
    flat = dark = True
    for image in images:  # ends at the first, where there is nothing to say
        highest = int(image.max())
        flat = flat and int(image.min()) == highest
        dark = dark and highest < DARK
        if not flat and not dark:
            return []
    if not len(images):
        return []
    seen = "one value throughout" if flat else f"nearly black (no value above {DARK - 1} of 255)"
    return [f"each of {len(images):,} images is {seen}: look at the files"]
