"""Asked before long work: can what it will write be written?"""

import tempfile
from collections.abc import Iterable
from pathlib import Path

from pyg_agfn.errors import InputError
from pyg_agfn.runs.json_files import check_file

#: Bytes that a folder must have room for, at least.
ROOM = 1 << 20


def check_output_file(path: Path, option: str) -> None:
    """Makes sure that a file can be written or written to; its folder is made.

    Nothing of a file that is there is changed, and none is left where there was none.

    Args:
        path: The file.
        option: What it is called on the command line.

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
    """Makes a folder, and makes sure that something can be written into it.

    Args:
        folder: The folder.
        option: What it is called on the command line.

    Raises:
        InputError: It cannot be made, or not be written into, or its disk is full.
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
    """Nothing that is there is written over without being told to.

    Raises:
        InputError: One of the files exists.
    """
    for path in paths:
        if path.is_symlink() or path.exists():
            raise InputError(
                f"{option} {path}: is there already; --overwrite replaces it, or choose another "
                "name"
            )
