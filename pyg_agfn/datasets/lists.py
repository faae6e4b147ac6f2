"""Text files that list images, a row a line."""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path, PureWindowsPath
from typing import NamedTuple

from pyg_agfn.errors import InputError, as_path


def read_lines(path: Path) -> list[tuple[int, str]]:
    """The lines that are not empty, stripped, with their numbers from 1.

    Any line ends will do, and a byte order mark.

    Raises:
        InputError: The file cannot be read, or is no text.
    """
    path = as_path(path, "path of the list")
    try:
        with path.open(encoding="utf-8-sig") as file:
            lines = [(row, line.strip()) for row, line in enumerate(file, 1)]
    except (OSError, ValueError) as error:  # ValueError: not UTF-8, or no path at all
        raise _unreadable(path, error) from None
    return [(row, line) for row, line in lines if line]


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
        InputError: The file cannot be read, or is no text.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            for number, line in enumerate(file, 1):
                try:
                    cells = next(csv.reader([line], strict=True), [])
                except csv.Error as error:
                    yield Row(number, [], f"is no row of CSV ({error})")
                    continue
                if any(cell.strip() for cell in cells):
                    yield Row(number, cells)
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from None


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


def _unreadable(path: Path, error: Exception) -> InputError:
    return InputError(f"{path}: cannot be read ({error})")
