"""Checks before long work that its output can be written."""

import tempfile
from collections.abc import Iterable
from pathlib import Path

from pyg_agfn.errors import InputError
from pyg_agfn.runs.json_files import check_file

#: A folder must have room for this many bytes.
ROOM = 1 << 20


def check_output_file(path: Path, option: str) -> None:
    """Makes sure that a file can be created or appended to; creates its folder.

    An existing file is not changed. A file that does not exist is not left behind.

    Args:
        path: The file.
        option: The option that names it on the command line.

    Raises:
        InputError: It cannot be written, or is a folder, a pipe or a device.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_symlink() or path.exists():
            check_file(path)
            with path.open("ab"):
                return
        with path.open("xb"):
            path.unlink()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(
            f"{option} {path}: cannot be written ({reason}); choose another place"
        ) from None


def check_output_folder(folder: Path, option: str) -> None:
    """Creates a folder, and makes sure that files can be written into it.

    Args:
        folder: The folder.
        option: The option that names it on the command line.

    Raises:
        InputError: It cannot be created or written into, or its disk is full.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(ROOM))
            file.flush()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"{option} {folder}: {reason}; choose another folder") from None


def refuse_existing(paths: Iterable[Path], option: str) -> None:
    """Refuses to replace existing files.

    Raises:
        InputError: One of the files exists.
    """
    for path in paths:
        if path.is_symlink() or path.exists():
            raise InputError(
                f"{option} {path}: exists already; --overwrite replaces it, or choose another name"
            )
