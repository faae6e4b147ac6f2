"""The audit as CSV: all labels by rank, and the corrected labels as a list for training."""

import math
from collections.abc import Iterable, Mapping
from os import PathLike

from pyg_agfn.audit.label_audit import AuditRow, LabelAudit
from pyg_agfn.csv_text import csv_row, on_one_line
from pyg_agfn.errors import as_path
from pyg_agfn.runs.json_files import write_whole

#: Neighbours that have a column.
NEIGHBORS = 3
#: The columns of ``label_issues.csv``.
COLUMNS = (*AuditRow._fields[:-1], *(f"neighbor_{i}" for i in range(1, NEIGHBORS + 1)))


def write_issues(audit: LabelAudit, path: str | PathLike[str]) -> None:
    """Writes a row a label, the likeliest wrong first, with the columns :data:`COLUMNS`.

    A file that is there is replaced. A probability that is not known has an empty cell.

    Raises:
        InputError: It cannot be written.
    """

    def cells(row: AuditRow) -> Iterable[object]:
        neighbors = (*row.neighbors, *[""] * NEIGHBORS)[:NEIGHBORS]
        for cell in (*row[:-1], *neighbors):
            if isinstance(cell, float):
                yield "" if math.isnan(cell) else f"{cell:.6g}"
            else:
                yield on_one_line(cell) if isinstance(cell, str) else cell

    _write(path, [COLUMNS, *map(cells, audit.rows)])


def write_cleaned(
    audit: LabelAudit, path: str | PathLike[str], others: Mapping[str, str] | None = None
) -> int:
    """Writes ``path,label`` of every image, with the suggested label where the given is an issue.

    ``--noise-file`` takes the list. It holds no name with a line break, with a blank at an end or
    with bytes that are no UTF-8: such an image is left out, and keeps its label in training.

    Args:
        audit: The findings.
        path: The list.
        others: Labels of images that are not audited, by their names; they are listed as they are.

    Returns:
        How many images are left out.

    Raises:
        InputError: It cannot be written.
    """
    labels = {
        row.file: row.suggested_label if row.is_issue else row.given_label for row in audit.rows
    }
    labels.update(others or {})
    listed = [
        item for item in labels.items() if item[0].isprintable() and item[0] == item[0].strip()
    ]
    _write(path, [("path", "label"), *listed])
    return len(labels) - len(listed)


def _write(path: str | PathLike[str], rows: Iterable[Iterable[object]]) -> None:
    text = "".join(map(csv_row, rows))
    # The bytes of a name that are no UTF-8 stay as they are.
    write_whole(as_path(path, "path"), text.encode("utf-8", "surrogateescape"))
