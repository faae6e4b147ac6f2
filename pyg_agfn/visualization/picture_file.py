"""The names of picture files."""

import mimetypes
from collections.abc import Iterable, Sequence
from pathlib import Path

from pyg_agfn.errors import InputError, as_path
from pyg_agfn.extras import require

#: The endings of pictures that ``--format`` offers, without their dot.
FORMATS = ("png", "svg", "pdf")


def check_ending(path: Path) -> None:
    """Checks the ending of a picture's name before anything is computed for the picture.

    Raises:
        InputError: No kind of picture has this ending.
    """
    path = as_path(path, "picture")
    if not _is_picture(path):
        raise InputError(f"{path}: a picture's name ends in .{', .'.join(sorted(_endings()))}")


def picture_paths(base: Path, formats: Sequence[str] | None) -> tuple[Path, list[Path]]:
    """The names of a picture and of the files that belong to it.

    Args:
        base: Name of the picture, with or without its ending.
        formats: The endings; by default all of :data:`FORMATS` except PDF.

    Returns:
        The name without its ending, and the pictures.

    Raises:
        InputError: Pictures of this ending cannot be drawn, the name has an ending although
            formats are given, or the name is that of a folder.
    """
    if base.is_dir():
        raise InputError(f"--out {base}: is a folder; name the picture in it: {base / 'tsne'}")
    if _is_picture(base):
        if formats:
            raise InputError(f"--out {base} and --format both set the ending: leave out one")
        return base.with_suffix(""), [base]
    if (mimetypes.guess_type(base)[0] or "").startswith("image/"):
        check_ending(base)
    return base, [Path(f"{base}.{ending}") for ending in dict.fromkeys(formats or FORMATS[:2])]


def _is_picture(path: Path) -> bool:
    return path.suffix.lower().removeprefix(".") in _endings()


def _endings() -> Iterable[str]:
    """Those of the pictures that matplotlib draws."""
    require("matplotlib")
    from matplotlib.figure import Figure

    return Figure().canvas.get_supported_filetypes()
