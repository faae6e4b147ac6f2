"""The JSON files of a run folder: looked at before they are read, written whole or not at all."""

import json
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, cast

from pyg_agfn.errors import InputError, as_path

#: Most bytes of a JSON file; read, it takes up to some 25 times as many.
JSON_LIMIT = 1 << 20


def read_json(path: Path, limit: int = JSON_LIMIT) -> dict[str, Any]:
    """The object in a JSON file.

    Raises:
        InputError: The file is missing, no file, larger than the limit, or holds no JSON object.
    """
    path = as_path(path, "path")
    try:
        size = check_file(path)
        if size > limit:
            raise ValueError(f"{size:,} bytes, where {limit:,} are the most")
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file") from None
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: cannot be read as JSON ({error})") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: must be a JSON object")
    return cast(dict[str, Any], content)


def check_file(path: Path) -> int:
    """The size of a regular file; opening a pipe or a device could wait or read for ever.

    Raises:
        OSError: There is none.
        ValueError: It is something else.
    """
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise ValueError("is no file")
    return status.st_size


def refuse_links(paths: Iterable[Path]) -> None:
    """Asked before a run folder is written to: a link there would be written through.

    Raises:
        InputError: One of them is a symbolic link.
    """
    for path in paths:
        if path.is_symlink():
            raise InputError(f"{path}: is a link, and would be written through; remove it")


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Writes a JSON file, whole or not at all.

    Raises:
        InputError: It cannot be written.
    """
    text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    # A file name that is no UTF-8 has half surrogate pairs, which JSON has an escape for.
    write_whole(path, text.encode("utf-8", "backslashreplace"))


def write_whole(path: Path, content: bytes) -> None:
    """Writes a file, whole or not at all.

    Raises:
        InputError: It cannot be written.
    """
    with whole_file(path) as partial, partial.open("xb") as file:  # x: through no link
        file.write(content)


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A name to write a file under, which becomes the file when the block ends without an error.

    After an error there is no file, and one that was there is as it was.

    Raises:
        InputError: It cannot be written.
    """
    partial = path.with_name(path.name + ".partial")
    try:
        partial.unlink(missing_ok=True)  # of a process that died
        yield partial
        with partial.open("r+b") as file:
            os.fsync(file.fileno())  # a name must not be on the disk before its content
        os.replace(partial, path)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror})") from None
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
