"""Rows and images of a data set that cannot be used: all of them reported, or left out."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

from pyg_agfn.csv_text import csv_row
from pyg_agfn.errors import InputError, as_path, printable

T = TypeVar("T")

#: Bad rows and images that a report names; it counts the others.
SHOWN = 10


class Listed(NamedTuple):
    """An image that a data set names, its label, and which row of which list says so."""

    name: str
    label: int
    source: str = ""
    row: int = 0


class BadItem(NamedTuple):
    """A row of a list, or an image, that cannot be used.

    Attributes:
        source: The list; empty if the image is in none.
        row: Its row there, from 1; 0 if there is none.
        image: The image's path, or its name where it is no file; empty if the row names none.
        reason: What is wrong.
    """

    source: str
    row: int
    image: str
    reason: str

    def __str__(self) -> str:
        where = f"{self.source}, row {self.row}" if self.source else ""
        image = f"image {self.image}" if self.image else ""
        return ": ".join(part for part in (where, image, self.reason) if part)


class BadDataError(InputError):
    """Bad rows and images: a line for one; for more, how many, and the first of them a line each.

    Args:
        items: All of them.
    """

    def __init__(self, items: Sequence[BadItem]) -> None:
        self.items = items
        if len(items) == 1:
            super().__init__(f"{items[0]}; fix it, or --skip-bad continues without it")
            return
        lines = [
            f"{len(items)} rows or images are bad; fix them, or --skip-bad continues without them:",
            *(f"  {item}" for item in items[:SHOWN]),
        ]
        if len(items) > SHOWN:
            lines.append(f"  ... and {len(items) - SHOWN} more")
        super().__init__(lines[0])
        self.args = ("\n".join(lines),)  # each of which prints; InputError makes one line of all


class BadData:
    """Gathers what is wrong with a data set while it is read.

    Args:
        skip: Continue without it; else :meth:`raise_if_any` raises.
    """

    def __init__(self, skip: bool = False) -> None:
        self.skip = skip
        self.items: list[BadItem] = []

    def add(
        self, reason: str, source: str | Path = "", row: int = 0, image: str | Path = ""
    ) -> None:
        """Notes a bad row or image; see :class:`BadItem`."""
        texts = (printable(os.fspath(text)) for text in (source, image, reason))
        source, image, reason = texts
        self.items.append(BadItem(source, row, image, reason))

    def without(
        self,
        listed: Sequence[Listed],
        files: Sequence[str | Path],
        unreadable: Mapping[int, str],
    ) -> list[Listed]:
        """The images that can be read; the others are noted, by position and reason."""
        for i, reason in unreadable.items():
            self.add(reason, listed[i].source, listed[i].row, files[i])
        return [image for i, image in enumerate(listed) if i not in unreadable]

    def raise_if_any(self) -> None:
        """Ends the reading.

        Raises:
            BadDataError: Something is bad, and is not to be left out.
        """
        if self.items and not self.skip:
            raise BadDataError(self.items)


def read_all(readers: Iterable[Callable[[], T]]) -> list[T]:
    """What each reader gives; what is bad in any of them is reported at once.

    Raises:
        BadDataError: Of all of them.
    """
    found: list[T] = []
    bad: list[BadItem] = []
    for read in readers:
        try:
            found.append(read())
        except BadDataError as error:
            bad += error.items
    if bad:
        raise BadDataError(unique(bad))
    return found


def unique(items: Iterable[BadItem]) -> list[BadItem]:
    """Each once: two splits of one list both find the rows that could be of either."""
    return list(dict.fromkeys(items))


def write_skipped(path: Path, items: Iterable[BadItem]) -> None:
    """Writes bad rows and images as CSV: list, row, image, reason.

    Raises:
        InputError: It cannot be written.
    """
    path = as_path(path, "path")
    try:
        path.unlink(missing_ok=True)
        with path.open("x", newline="", encoding="utf-8") as file:  # x: through no link
            file.write(csv_row(["list", "row", "image", "reason"]))
            for item in items:
                file.write(csv_row([item.source, item.row or "", item.image, item.reason]))
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror})") from None
