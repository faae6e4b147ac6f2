import csv

import pytest

from pyg_agfn.csv_text import csv_row
from pyg_agfn.datasets.bad_data import BadItem, write_skipped


@pytest.mark.parametrize(
    "start", ["=", "+", "-", "@", "\t", "\r", "\n", "＝", "\t1", "+1+", "-inf()"]
)
def test_no_cell_is_a_formula(start):
    text = f"{start}cmd|' /C calc'!A0"
    (row,) = csv.reader([csv_row(["plain", text])], strict=True)
    assert row == ["plain", "'" + text]


@pytest.mark.parametrize("cell", [-1.5, -3, "-1.5", "+1e5", "1", "", "a=b", "cafe"])
def test_what_is_none_stays_as_it_is(cell):
    assert csv_row([cell, "x"]) == f"{cell},x\r\n"


def test_reports_of_bad_rows_hold_no_formula(tmp_path):
    path = tmp_path / "skipped.csv"
    write_skipped(path, [BadItem("=list.csv", 3, "@cmd.png", "-1+1 is no label")])
    _, row = csv.reader(path.read_text().splitlines())
    assert row == ["'=list.csv", "3", "'@cmd.png", "'-1+1 is no label"]
