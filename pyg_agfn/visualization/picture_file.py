"""What pictures may be called."""

import mimetypes
from collections.abc import Iterable, Sequence
from pathlib import Path

from pyg_agfn.errors import InputError, as_path
from pyg_agfn.extras import require

#: Endings that are offered, without their dot.
FORMATS = ("png", "svg", "pdf")


def check_ending(path: Path) -> None:
    """Asked before anything is computed for a picture.

    Raises:
        InputError: No kind of picture has such an ending.
    """
    path = as_path(path, "picture")
    if not _is_picture(path):
        raise InputError(f"{path}: a picture's name ends in .{', .'.join(sorted(_endings()))}")


def picture_paths(base: Path, formats: Sequence[str] | None) -> tuple[Path, list[Path]]:
    """What a picture and the files beside it are called.

    Args:
        base: Name of the picture, with or without its ending.
        formats: Endings, if they are given; :data:`FORMATS` but for PDF if not.

    Returns:
        The name without its ending, and the pictures.

    Raises:
        InputError: The name's ending is of no picture that can be drawn, is given beside formats,
            or the name is that of a folder.
    """
    if base.is_dir():
        raise InputError(f"--out {base}: is a folder; name the picture in it: {base / 'tsne'}")
    if _is_picture(base):
        if formats:
            raise InputError(f"--out {base} and --format both say the ending: leave out one")
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
