"""CSV whose cells no spreadsheet runs as formulas: names come from untrusted sources."""

import csv
import io
from collections.abc import Iterable

#: A spreadsheet takes a cell that begins with one of these for a formula, in full width too.
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


def _is_formula(text: str) -> bool:
    if not text.startswith(FORMULA):
        return False
    try:
        float(text)
    except ValueError:
        return True
    return not text.isprintable()
