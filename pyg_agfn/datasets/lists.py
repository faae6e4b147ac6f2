"""Text files that list images, a row a line."""

import csv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PureWindowsPath
from typing import NamedTuple, TextIO

from pyg_agfn.errors import InputError, as_path
from pyg_agfn.runs.json_files import check_file

#: Most bytes of a list. ``fer2013.csv``, which holds pixels, has 300 million.
LIST_LIMIT = 1 << 30
#: Most lines; what is kept of each takes some hundred bytes. ImageNet has 1.3 million images.
LINES_LIMIT = 1 << 21
#: Most characters of a line. One of ``fer2013.csv`` has ten thousand.
LINE_LIMIT = 1 << 20


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines that are not empty, stripped, with their numbers from 1.

    Any line ends will do, and a byte order mark.

    Raises:
        InputError: The file cannot be read, is no regular file, is longer than a list can be, or
            is no text.
    """
    with _open_list(as_path(path, "path of the list")) as file:
        for row, text in _lines(file):
            if line := text.strip():
                yield row, line


class Row(NamedTuple):
    """A row of a CSV file: its number from 1, its cells, and what is wrong if it has none."""

    number: int
    cells: list[str]
    fault: str = ""


def read_rows(path: Path) -> Iterator[Row]:
    """The rows of a CSV file that are not empty.

    A row is a line: no cell here holds a line break, and a quote that is not closed would swallow
    all rows up to the next one.

    Raises:
        InputError: The file cannot be read, is no regular file, is longer than a list can be, or
            is no text.
    """
    with _open_list(as_path(path, "path of the list")) as file:
        for number, line in _lines(file):
            try:
                cells = next(csv.reader([line], strict=True), [])
            except csv.Error as error:
                yield Row(number, [], f"is no row of CSV ({error})")
                continue
            if any(cell.strip() for cell in cells):
                yield Row(number, cells)


@contextmanager
def _open_list(path: Path) -> Iterator[TextIO]:
    """A list's text.

    A pipe would wait for its other end, and a device or a sparse file may have no end, so what the
    file is and how long it is are looked at before it is opened.
    """
    try:
        size = check_file(path)
        if size > LIST_LIMIT:
            raise ValueError(f"{size:,} bytes, where a list has {LIST_LIMIT:,} at most")
        with path.open("rb") as file:
            wide = file.read(2) in (b"\xff\xfe", b"\xfe\xff")  # as PowerShell writes text
        with path.open(encoding="utf-16" if wide else "utf-8-sig") as text:
            yield text
    except UnicodeError as error:
        raise InputError(f"{path}: is no UTF-8 text ({error})") from None
    except (OSError, ValueError) as error:  # ValueError: see above, or no path at all
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path}: cannot be read ({reason})") from None


def _lines(file: TextIO) -> Iterator[tuple[int, str]]:
    number = 0
    while line := file.readline(LINE_LIMIT):
        number += 1
        if number > LINES_LIMIT:
            raise ValueError(f"more than {LINES_LIMIT:,} lines")
        if len(line) == LINE_LIMIT and not line.endswith("\n"):
            raise ValueError(f"line {number} has more than {LINE_LIMIT:,} characters")
        yield number, line


def find_columns(path: Path, header: Row | None, names: Sequence[str]) -> list[int]:
    """Where the columns of these names are.

    Raises:
        InputError: One is missing.
    """
    cells = [] if header is None else [cell.strip() for cell in header.cells]
    missing = [name for name in names if name not in cells]
    if missing:
        row = 1 if header is None else header.number
        raise InputError(f"{path}, row {row}: column {', '.join(missing)} is missing")
    return [cells.index(name) for name in names]


def is_file_name(text: str) -> bool:
    """Whether a list's entry names a file of one folder, and none outside of it on any system."""
    name = PureWindowsPath(text).name  # knows slashes of both kinds, and drives
    return text.isprintable() and ":" not in text and text == name and text not in ("", ".", "..")
