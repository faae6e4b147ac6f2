from functools import partial
from pathlib import Path

import pytest

from pyg_agfn.commands.render import render_marked
from pyg_agfn.errors import InputError
from pyg_agfn.reproduction.marked_tables import fill_document, fill_tables
from pyg_agfn.reproduction.results_file import ResultsFile

DOCS = Path(__file__).parents[2] / "docs"
END = "<!-- end of what is rendered -->"


def test_the_committed_documents_are_what_the_command_renders():
    """render_results.py docs/results.jsonl --into docs/results.md"""
    records = ResultsFile(DOCS / "results.jsonl").records()
    rendered = 0
    for path in DOCS.glob("*.md"):
        text = path.read_text()
        if "\n<!-- rendered by: " in text:
            rendered += 1
            assert fill_tables(text, path, partial(render_marked, records=records)) == text
    assert rendered


def test_each_marked_part_is_replaced_and_the_rest_stays(tmp_path):
    path = tmp_path / "page.md"
    path.write_text(
        f"a\n<!-- rendered by: one -->\nold\n\nold\n{END}\nb\n<!-- rendered by: two -->\n{END}\n"
    )
    assert fill_document(path, lambda options: f"| {options} |\n")
    whole = path.read_text()
    assert whole == (
        f"a\n<!-- rendered by: one -->\n\n| one |\n\n{END}\nb\n"
        f"<!-- rendered by: two -->\n\n| two |\n\n{END}\n"
    )
    assert not fill_document(path, lambda options: f"| {options} |\n")
    assert path.read_text() == whole


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("no mark", "nothing to render"),
        ("a\n<!-- rendered by: x -->\nb", "line 2: the part has no end"),
        (f"<!-- rendered by: x -->\n<!-- rendered by: y -->\n{END}", "line 1: the part has no end"),
    ],
)
def test_marks_that_do_not_fit_are_one_line(text, complaint):
    with pytest.raises(InputError, match=complaint):
        fill_tables(text, Path("page.md"), lambda options: "")


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ("--suite faces", "invalid choice: 'faces'"),
        ("", "no options: names no table"),
        ("--table 1 --into x", "unrecognized arguments: --into x"),
        ("--suite 'digits", "No closing quotation"),
        ("--suite mnist", "no finished run of mnist"),
    ],
)
def test_options_of_a_mark_that_make_no_table_are_one_line(options, complaint):
    with pytest.raises(InputError, match=f"page.md, line 1: .*{complaint}"):
        fill_tables(
            f"<!-- rendered by: {options} -->\n{END}",
            Path("page.md"),
            partial(render_marked, records=[]),
        )
