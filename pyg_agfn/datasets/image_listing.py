"""Which files of a folder are images: one rule for training and for prediction."""

import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from pyg_agfn.datasets.image_file import FORMATS
from pyg_agfn.errors import InputError, printable

Image.init()
#: Endings of the formats that are read, as Pillow knows them, in small letters.
ENDINGS = tuple(sorted(ending for ending, form in Image.EXTENSION.items() if form in FORMATS))

#: What systems and programs leave in folders, beside names that begin with a dot.
CLUTTER = frozenset(
    (
        "__macosx",
        "@eadir",
        "#recycle",
        "$recycle.bin",
        "system volume information",
        "lost+found",
        "thumbs.db",
        "ehthumbs.db",
        "desktop.ini",
    )
)

#: Endings that a line names; it counts the others.
SHOWN = 5


@dataclass
class Ignored:
    """What a data set's folder holds and the data set does not.

    Attributes:
        endings: Files that are no images by their ending, by it.
        links: Links to folders inside a class folder, which are not followed.
        beside: Images that are in no class folder.
        unused: Images of each folder that is no part of the data set.
    """

    endings: Counter[str] = field(default_factory=Counter)
    links: int = 0
    beside: int = 0
    unused: dict[str, list[Path]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.endings or self.links or self.beside or self.unused)

    def __str__(self) -> str:
        parts = []
        if total := self.endings.total():
            common = sorted(self.endings.items(), key=lambda item: (-item[1], item[0]))
            shown = [f"{ending[:20] or 'without one'} {n}" for ending, n in common[:SHOWN]]
            if left := sum(n for _, n in common[SHOWN:]):
                shown.append(f"others {left}")
            parts.append(
                f"{_count(total, 'file')} that {'is no image' if total == 1 else 'are no images'} "
                f"by {'its' if total == 1 else 'their'} ending ({', '.join(shown)})"
            )
        if self.links:
            parts.append(f"{_count(self.links, 'link')} to folders, which are not followed")
        if self.beside:
            parts.append(f"{_count(self.beside, 'image')} in no class folder")
        parts += [
            f"{_count(len(files), 'image')} in folder {name}" for name, files in self.unused.items()
        ]
        return printable(f"ignored: {'; '.join(parts)}") if parts else ""


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def is_clutter(name: str) -> bool:
    """Whether a file or folder is the system's, not the user's: it is passed over in silence."""
    return name.startswith(".") or name.lower() in CLUTTER


def is_image_name(name: str) -> bool:
    """Whether a file's name has the ending of an image."""
    return os.path.splitext(name)[1].lower() in ENDINGS


def list_images(folder: Path, ignored: Ignored) -> list[Path]:
    """The images in a folder and the folders in it, in the order of their names.

    Links to files are followed, links to folders are not: they may lead round in a circle.

    Args:
        folder: Where to look; it may be a link.
        ignored: Counts what is left out.

    Raises:
        InputError: A folder cannot be read.
    """

    def stop(error: OSError) -> None:
        raise InputError(f"{error.filename}: cannot be read ({error.strerror})") from None

    found: list[Path] = []
    for parent, folders, files in os.walk(folder, onerror=stop):
        inner = [name for name in folders if not is_clutter(name)]
        links = [name for name in inner if os.path.islink(os.path.join(parent, name))]
        ignored.links += len(links)
        folders[:] = [name for name in inner if name not in links]
        for name in files:
            if is_clutter(name):
                continue
            if is_image_name(name):
                found.append(Path(parent, name))
            else:
                ignored.endings[os.path.splitext(name)[1].lower()] += 1
    return sorted(found)
