"""Images small enough that thousands of them fit into one page."""

import base64
import io
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import NamedTuple

from PIL import Image
from torch import Tensor

#: Longest side of a thumbnail, in pixels; smaller images keep their size.
LONGEST_SIDE = 96
#: Images up to this side are scaled up with hard edges: single pixels are what one sees.
PIXELATED_SIDE = 48
#: Images that are read at a time.
CHUNK = 256
#: From how many images the size of all is estimated.
SAMPLE = 64


class Detail(NamedTuple):
    """Longest sides of large and of small thumbnails, and WebP's quality; None loses nothing."""

    large: int
    small: int
    quality: int | None


#: The finest comes first. The last takes some 500 bytes an image.
DETAILS = (
    Detail(PIXELATED_SIDE, PIXELATED_SIDE, None),
    Detail(LONGEST_SIDE, LONGEST_SIDE, 80),
    Detail(LONGEST_SIDE, 48, 75),
    Detail(LONGEST_SIDE, 48, 50),
    Detail(64, 40, 50),
    Detail(48, 32, 40),
    Detail(32, 24, 30),
)


def thumbnails(
    pixels: Callable[[Sequence[str]], Tensor],
    large: Sequence[str],
    small: Sequence[str],
    budget: int,
) -> tuple[list[str], bool]:
    """WebP thumbnails in base64, as fine as a number of bytes allows.

    Args:
        pixels: Reads images by name, as uint8 of shape (n, C, H, W) with 1 or 3 channels.
        large: Images that are shown at up to 96 pixels.
        small: Images that are shown at half of that.
        budget: Most bytes of all thumbnails together, in base64. If not even the coarsest detail
            fits, it is used all the same.

    Returns:
        A thumbnail for each name of ``large`` and of ``small``, in this order, and whether the
        images are so small that they should be scaled up with hard edges.
    """
    if not large:
        return [], False
    sample = [*large[:: -(-len(large) // SAMPLE)]]
    shown = list(_images(pixels, sample))
    pixelated = max(max(image.size) for image in shown) <= PIXELATED_SIDE
    details = DETAILS if pixelated else DETAILS[1:]
    for detail in details:
        of_large = sum(len(_encode(image, detail.large, detail)) for image in shown) * len(large)
        of_small = sum(len(_encode(image, detail.small, detail)) for image in shown) * len(small)
        if detail is not details[-1] and of_large + of_small > budget * len(shown):
            continue
        sides = chain([detail.large] * len(large), [detail.small] * len(small))
        images = _images(pixels, [*large, *small])
        encoded = [_encode(image, side, detail) for image, side in zip(images, sides, strict=True)]
        if detail is details[-1] or sum(map(len, encoded)) <= budget:
            break
    return encoded, pixelated


def _images(
    pixels: Callable[[Sequence[str]], Tensor], names: Sequence[str]
) -> Iterator[Image.Image]:
    for start in range(0, len(names), CHUNK):
        for image in pixels(names[start : start + CHUNK]).cpu():
            array = image.permute(1, 2, 0).numpy()
            yield Image.fromarray(array[..., 0] if array.shape[2] == 1 else array[..., :3])


def _encode(image: Image.Image, side: int, detail: Detail) -> str:
    image = image.copy()
    image.thumbnail((side, side), Image.Resampling.LANCZOS)  # makes no image larger
    file = io.BytesIO()
    lossless = detail.quality is None
    # Method 2 takes half of the time of the usual one, for 7% more bytes.
    image.save(file, "WEBP", lossless=lossless, quality=detail.quality or 80, method=2)
    return base64.b64encode(file.getvalue()).decode("ascii")
