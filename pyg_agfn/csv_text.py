"""CSV whose cells no spreadsheet runs as formulas: names come from untrusted sources."""

import csv
import io
import re
from collections.abc import Iterable

from pyg_agfn.errors import printable

#: What a cell begins with that a spreadsheet takes for a formula, in full width too.
FORMULA = tuple("=+-@\t\r\n＝＋－＠")


def csv_row(cells: Iterable[object]) -> str:
    """A row of CSV with its line end, in which no cell is a formula.

    Text that begins like a formula (``=cmd``) gets an apostrophe in front, which marks it as text.
    Numbers, and text that is a number, stay as they are.
    """
    row = io.StringIO()
    csv.writer(row).writerow(
        f"'{cell}" if isinstance(cell, str) and _is_formula(cell) else cell for cell in cells
    )
    return row.getvalue()


def on_one_line(text: str) -> str:
    """The text with escapes for what does not print, but for the bytes of a name that are no UTF-8.

    Python keeps such bytes as halves of surrogate pairs, and a file that is opened by
    ``errors="surrogateescape"`` gets the name's own bytes.
    """
    return re.sub("[^\udc80-\udcff]+", lambda m: printable(m[0], len(m[0])), text)


def _is_formula(text: str) -> bool:
    if not text.startswith(FORMULA):
        return False
    try:
        float(text)
    except ValueError:
        return True
    return not text.isprintable()
