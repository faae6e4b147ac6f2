"""Image files decoded once, into one memory-mapped uint8 array."""

import hashlib
import os
import tempfile
import warnings
from collections.abc import Sequence
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
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                return fit_image(image, size, channels)
    except FileNotFoundError:
        raise InputError(f"image {path}: there is no such file") from None
    except Exception as error:  # Pillow's decoders raise what they like on broken files
        reason = str(error).replace("\n", " ") or type(error).__name__
        raise InputError(f"image {path}: cannot be read ({reason}); mend or remove it") from None


def cached_images(
    files: Sequence[Path], size: int | None, channels: int, cache_dir: Path | None = None
) -> Pixels:
    """All files as one read-only memory map, (n, C, H, W); decoded at the first call only.

    The key holds each file's path, size and time of change, so a changed file is read again. The
    array appears whole or not at all: several processes may fill the cache at once, and one that
    is killed leaves nothing that is read.

    Raises:
        InputError: A file cannot be read, images differ in size while none is asked for, or the
            cache folder cannot be written.
    """
    first = decode(files[0], size, channels)
    shape = (len(files), *first.shape)
    folder = cache_dir or default_cache_dir()
    target = folder / f"{_key(files, size, channels)}.npy"
    try:
        found: Pixels = np.load(target, mmap_mode="r", allow_pickle=False)
        if found.shape == shape and found.dtype == np.uint8:
            return found
    except (OSError, ValueError, EOFError):
        pass  # none there, or not a whole one: made anew below

    def checked(path: Path) -> Pixels:
        pixels = decode(path, size, channels)
        if pixels.shape != first.shape:
            sides = ["x".join(map(str, p.shape[:0:-1])) for p in (pixels, first)]
            raise InputError(
                f"image {path}: is {sides[0]} where {files[0].name} is {sides[1]}; "
                "give --image-size to bring them to one size"
            )
        return pixels

    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as workspace:
            partial = Path(workspace) / "images.npy"
            images = np.lib.format.open_memmap(partial, "w+", np.uint8, shape)
            with ThreadPoolExecutor() as pool:
                for i, pixels in enumerate(pool.map(checked, files)):
                    images[i] = pixels
            images.flush()
            os.replace(partial, target)
    except OSError as error:
        raise InputError(
            f"cache folder {folder}: {error.strerror}; choose another with --cache or "
            "PYG_AGFN_CACHE"
        ) from None
    stored: Pixels = np.load(target, mmap_mode="r", allow_pickle=False)
    return stored


def _key(files: Sequence[Path], size: int | None, channels: int) -> str:
    digest = hashlib.sha256(f"{FORMAT_VERSION} {size} {channels}".encode())
    for file in files:
        try:
            status = file.stat()
        except OSError:
            raise InputError(f"image {file}: there is no such file") from None
        stamp = f"\0{os.path.abspath(file)}\0{status.st_size}\0{status.st_mtime_ns}"
        digest.update(stamp.encode("utf-8", "surrogateescape"))
    return digest.hexdigest()[:32]
