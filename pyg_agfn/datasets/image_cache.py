"""Image files decoded once, into one memory-mapped uint8 array."""

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pyg_agfn.errors import InputError

Pixels = np.ndarray[Any, np.dtype[np.uint8]]

#: Part of the key: raise it when decoding changes what it gives.
FORMAT_VERSION = 1


def default_cache_dir() -> Path:
    """``$PYG_AGFN_CACHE``, else ``pyg_agfn`` in ``$XDG_CACHE_HOME``, else in ``~/.cache``."""
    if chosen := os.environ.get("PYG_AGFN_CACHE"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pyg_agfn"


#: Side of a square, or height and width; None leaves an image as large as it is.
Size = int | tuple[int, int] | None


def fit_image(image: Image.Image, size: Size, channels: int) -> Pixels:
    """One image as uint8 (C, H, W): grey or RGB, of ``size`` if given, antialiased.

    16-bit grey is divided by 257, transparency is laid over black.

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


def decode(path: Path, size: Size, channels: int) -> Pixels:
    """An image file as :func:`fit_image` gives it.

    Raises:
        InputError: The file is missing, no image, truncated, or too large to be one.
    """
    try:
        with Image.open(path) as image:
            # Up to twice its limit Pillow only warns, and threads share the warnings' filters.
            limit = Image.MAX_IMAGE_PIXELS
            if limit is not None and image.width * image.height > limit:
                raise ValueError(f"{image.width}x{image.height} is more than {limit} pixels")
            return fit_image(image, size, channels)
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"image {path}: there is no such file") from None
    except Exception as error:  # Pillow's decoders raise what they like on broken files
        reason = str(error).replace("\n", " ") or type(error).__name__
        raise InputError(f"image {path}: cannot be read ({reason}); mend or remove it") from None


def cached_images(
    files: Sequence[Path], size: int | None, channels: int, cache_dir: Path | None = None
) -> Pixels:
    """All files as one read-only memory map, (n, C, H, W); decoded at the first call only.

    Raises:
        InputError: A file cannot be read, images differ in size while none is asked for, or the
            cache folder cannot be written.
    """
    first = decode(files[0], size, channels)

    def checked(path: Path) -> Pixels:
        pixels = decode(path, size, channels)
        if pixels.shape != first.shape:
            sides = ["x".join(map(str, p.shape[:0:-1])) for p in (pixels, first)]
            raise InputError(
                f"image {path}: is {sides[0]} where {files[0].name} is {sides[1]}; "
                "give --image-size to bring them to one size"
            )
        return pixels

    def decoded() -> Iterator[Pixels]:
        with ThreadPoolExecutor() as pool:
            yield from pool.map(checked, files)

    return cached_array(files, (size, channels), (len(files), *first.shape), decoded, cache_dir)


def cached_array(
    sources: Sequence[Path],
    settings: Sequence[object],
    shape: tuple[int, ...],
    make: Callable[[], Iterable[Pixels]],
    cache_dir: Path | None = None,
) -> Pixels:
    """The rows that ``make`` gives as one read-only memory map of ``shape``; made once.

    The key holds each source's path, size and time of change, so a changed file is read again, and
    the settings. The array appears whole or not at all: several processes may fill the cache at
    once, and one that is killed leaves nothing that is read.

    Raises:
        InputError: A source is missing, or the cache folder is full or cannot be written.
    """
    folder = cache_dir or default_cache_dir()
    target = folder / f"{_key(sources, settings)}.npy"
    try:
        found: Pixels = np.lib.format.open_memmap(target, mode="r")
        if found.shape == shape and found.dtype == np.uint8:
            return found
    except Exception:  # none there, or damaged, which ends in whatever its parser meets first
        pass
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as workspace:
            partial = Path(workspace) / "images.npy"
            header = {"descr": "|u1", "fortran_order": False, "shape": shape}
            # Written, not mapped: on a full disk a write fails, a store to a map kills the process.
            with partial.open("wb") as file:
                np.lib.format.write_array_header_1_0(file, header)
                for pixels in make():
                    file.write(pixels.tobytes())
            os.replace(partial, target)
    except OSError as error:
        raise InputError(
            f"cache folder {folder}: {error.strerror}; choose another with --cache or "
            "PYG_AGFN_CACHE"
        ) from None
    stored: Pixels = np.lib.format.open_memmap(target, mode="r")
    return stored


def _key(sources: Sequence[Path], settings: Sequence[object]) -> str:
    digest = hashlib.sha256(" ".join(map(str, (FORMAT_VERSION, *settings))).encode())
    for file in sources:
        try:
            status = file.stat()
        except (OSError, ValueError):  # a ValueError: no path at all
            raise InputError(f"image {file}: there is no such file") from None
        stamp = f"\0{os.path.abspath(file)}\0{status.st_size}\0{status.st_mtime_ns}"
        digest.update(stamp.encode("utf-8", "surrogateescape"))
    return digest.hexdigest()[:32]
