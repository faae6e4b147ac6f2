"""What pictures may be called."""

from pathlib import Path

from matplotlib.figure import Figure

from pyg_agfn.errors import InputError, as_path


def check_ending(path: Path) -> None:
    """Asked before anything is computed for a picture.

    Raises:
        InputError: No kind of picture has such an ending.
    """
    endings = sorted(Figure().canvas.get_supported_filetypes())
    path = as_path(path, "picture")
    if path.suffix.lower().removeprefix(".") not in endings:
        raise InputError(f"{path}: a picture's name ends in .{', .'.join(endings)}")
