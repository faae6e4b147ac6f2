"""Image files decoded once, into one memory-mapped uint8 array."""

import errno
import hashlib
import json
import math
import os
import time
import uuid
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from pyg_agfn.datasets.bad_data import BadData
from pyg_agfn.datasets.image_file import decode, load_image, read_image
from pyg_agfn.datasets.image_memory import THREADS, OutOfMemoryError
from pyg_agfn.datasets.image_pixels import (
    UNKNOWN_WHITE,
    Interpolation,
    Pixels,
    Resize,
    UnreadableImageError,
    White,
    check_resize,
    turned_size,
)
from pyg_agfn.errors import InputError, as_path

__all__ = ["Decoded", "Pixels", "cached_array", "cached_images", "decode", "default_cache_dir"]

#: Part of the key: raise it when decoding changes what it gives.
FORMAT_VERSION = 3
#: Most images that are decoded ahead of their turn to be written: they are in memory.
AHEAD = 32
#: Most bytes of these.
AHEAD_BYTES = 1 << 28
#: Seconds without a write after which an array that is not finished is of a process that died.
ABANDONED = 24 * 3600


def default_cache_dir() -> Path:
    """``$PYG_AGFN_CACHE``, else ``pyg_agfn`` in ``$XDG_CACHE_HOME``, else in ``~/.cache``."""
    if chosen := os.environ.get("PYG_AGFN_CACHE"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pyg_agfn"


class Decoded(NamedTuple):
    """The images that can be read, in order, and by position why the others cannot."""

    images: Pixels
    unreadable: dict[int, str]


def cached_images(
    files: Sequence[Path],
    size: int | None,
    channels: int,
    cache_dir: Path | None = None,
    unreadable: dict[int, str] | None = None,
    resize: Resize = "stretch",
    white: White = UNKNOWN_WHITE,
    interpolation: Interpolation = "bicubic",
) -> Pixels:
    """All files as one read-only memory map, (n, C, H, W); decoded at the first call only.

    Args:
        files: Images.
        size: Side in pixels. Without it an image counts as unreadable if it is not of the size
            that most have.
        channels: 1 for grey, 3 for RGB.
        cache_dir: Folder for the array.
        unreadable: Receives the position and the reason of each file that cannot be read. The
            array is without it then; at the next call such files are tried again, and no other.
        resize: How images of another shape are brought to ``size``.
        white: What is white in images of more than 8 bits.
        interpolation: How pixels between pixels are found.

    Raises:
        InputError: Files cannot be read and ``unreadable`` is not given, the cache folder cannot
            be written, or there is not the memory for an image.
    """
    check_resize(resize, interpolation)

    def read(path: Path, shape: tuple[int, ...]) -> Pixels | str:
        try:
            pixels = read_image(path, size, channels, resize, white, interpolation)
        except UnreadableImageError as error:
            return str(error)
        if pixels.shape != shape:
            sides = ["x".join(map(str, s[:0:-1])) for s in (pixels.shape, shape)]
            return f"is {sides[0]} where most are {sides[1]}; --image-size brings them to one size"
        return pixels

    def decoded() -> Iterator[Pixels | str]:
        with ThreadPoolExecutor(THREADS) as pool:
            shape = (channels, *((size, size) if size is not None else _usual_size(files, pool)))
            most = max(1, min(AHEAD, AHEAD_BYTES // (math.prod(shape) or 1)))
            ahead = deque(pool.submit(read, path, shape) for path in files[:most])
            for path in files[most:]:
                yield ahead.popleft().result()
                ahead.append(pool.submit(read, path, shape))
            while ahead:
                yield ahead.popleft().result()

    def still_holds(stored: Decoded) -> bool:
        # A disk that was away may be back, a permission may be given.
        shape = stored.images.shape[1:]
        return all(isinstance(read(files[i], shape), str) for i in stored.unreadable)

    how = resize if size is not None else None
    settings: tuple[object, ...] = (size, channels, how, *white)
    if size is not None and interpolation != "bicubic":  # arrays of older versions have no name
        settings += (interpolation,)
    found = cached_array(files, settings, len(files), decoded, cache_dir, still_holds)
    bad = BadData(skip=unreadable is not None)
    for i, reason in found.unreadable.items():
        bad.add(reason, image=files[i])
    bad.raise_if_any()
    if unreadable is not None:
        unreadable.update(found.unreadable)
    return found.images


def _usual_size(files: Sequence[Path], pool: ThreadPoolExecutor) -> tuple[int, int]:
    """Height and width of most files once they are turned, by their headers."""

    def read_size(path: Path) -> tuple[int, int] | None:
        try:
            return load_image(path, None, 3, turned_size)
        except UnreadableImageError:
            return None

    sizes = Counter(size for size in pool.map(read_size, files) if size is not None)
    return sizes.most_common(1)[0][0] if sizes else (0, 0)


def cached_array(
    sources: Sequence[Path],
    settings: Sequence[object],
    count: int,
    make: Callable[[], Iterable[Pixels | str]],
    cache_dir: Path | None = None,
    still_holds: Callable[[Decoded], bool] = lambda stored: True,
) -> Decoded:
    """Rows of one shape as one read-only memory map; made once.

    The key holds each source's path, size and time of change, so a changed file is read again, and
    the settings. The array appears whole or not at all: several processes may fill the cache at
    once, and one that is killed leaves nothing that is read. What it leaves is removed by the
    first that fills the cache a day later.

    Args:
        sources: Files that the rows are made of.
        settings: What else they depend on.
        count: Number of rows.
        make: Gives each row, or the reason why there is none.
        cache_dir: Folder for the array.
        still_holds: Asked about an array that was found; if not, it is made again.

    Raises:
        InputError: The cache folder is full or cannot be written.
    """
    folder = default_cache_dir() if cache_dir is None else as_path(cache_dir, "cache_dir")
    target = folder / f"{_key(sources, settings)}.npy"
    found = _load(target, count)
    if found is not None and still_holds(found):
        return found
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _sweep(folder)
        # A name of its own: another process may be at the same array.
        partial = folder / f"{target.stem}-{uuid.uuid4().hex}.partial"
        try:
            unreadable = _write(partial, count, make())
            if len(unreadable) == count:  # there is no map of nothing
                return Decoded(np.empty((0, 1, 1, 1), np.uint8), unreadable)
            os.replace(partial, target)
        except RuntimeError as error:
            if "new thread" not in str(error):
                raise
            raise OutOfMemoryError("there is not the memory for threads; free some") from None
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(
            f"cache folder {folder}: {error.strerror}; choose another with --cache or "
            "PYG_AGFN_CACHE"
        ) from None
    stored = _load(target, count)
    if stored is None:
        raise InputError(f"cache folder {folder}: {target.name} was changed meanwhile; try again")
    return stored


def _write(path: Path, count: int, rows: Iterable[Pixels | str]) -> dict[int, str]:
    """Writes the array, and behind it as JSON which rows are not in it and why."""
    unreadable: dict[int, str] = {}
    shape: tuple[int, ...] = ()
    # Written, not mapped: on a full disk a write fails, a store to a map kills the process.
    with path.open("xb") as file:
        for i, row in enumerate(rows):
            if isinstance(row, str):
                unreadable[i] = row
                continue
            if not shape:
                shape = row.shape
                _write_header(file, (count, *shape))
            file.write(row.tobytes())
        if unreadable and shape:
            end = file.tell()
            file.seek(0)
            _write_header(file, (count - len(unreadable), *shape))  # of the same length
            file.seek(end)
        file.write(json.dumps({"count": count, "unreadable": unreadable}).encode())
        file.flush()
        os.fsync(file.fileno())  # a name must not be on the disk before its content
    return unreadable


def _write_header(file: BinaryIO, shape: tuple[int, ...]) -> None:
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)


def _load(path: Path, count: int) -> Decoded | None:
    """What :func:`_write` wrote; None if it is not there, or not whole."""
    try:
        with path.open("rb") as file:  # opened once: another process may replace it at any time
            np.lib.format.read_magic(file)
            shape, _, dtype = np.lib.format.read_array_header_1_0(file)
            start = file.tell()
            images: Pixels = np.memmap(file, dtype, "r", start, shape)
            file.seek(start + images.nbytes)
            facts = json.loads(file.read())
        unreadable = {int(i): str(reason) for i, reason in facts["unreadable"].items()}
        rows = len(images) + len(unreadable)
        whole = facts["count"] == rows == count and set(unreadable) <= set(range(count))
        return Decoded(images, unreadable) if whole and dtype == np.uint8 else None
    except MemoryError:
        raise OutOfMemoryError(_no_room(path)) from None
    except OSError as error:
        if error.errno == errno.ENOMEM:
            raise OutOfMemoryError(_no_room(path)) from None
        return None
    except Exception:  # damaged, which ends in whatever its parser meets first
        return None


def _no_room(path: Path) -> str:
    return f"cache {path}: there is not the memory to map it; free some, or use smaller images"


def _sweep(folder: Path) -> None:
    """Removes arrays that a process was killed over: it can no longer do so itself."""
    for partial in folder.glob("*.partial"):
        try:
            if time.time() - partial.stat().st_mtime > ABANDONED:
                partial.unlink(missing_ok=True)
        except OSError:  # another process was faster, or it is another user's
            continue


def _key(sources: Sequence[Path], settings: Sequence[object]) -> str:
    digest = hashlib.sha256(" ".join(map(str, (FORMAT_VERSION, *settings))).encode())
    for file in sources:
        try:
            status = file.stat()
            state = f"{status.st_size}\0{status.st_mtime_ns}"
        except (OSError, ValueError):  # a ValueError: no path at all
            state = "missing"
        stamp = f"\0{os.path.abspath(file)}\0{state}"
        digest.update(stamp.encode("utf-8", "surrogateescape"))
    return digest.hexdigest()[:32]
