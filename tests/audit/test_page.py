"""The page of the label audit: self-contained, safe with any name, bounded, and read back."""

import base64
import io
import json
import re
from collections.abc import Callable, Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from audit_stand_in import StandIn, audit_of
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image

from pyg_agfn.audit import page as page_module
from pyg_agfn.audit.page import write_page
from pyg_agfn.datasets import read_noise_file
from pyg_agfn.datasets.image_names import composed
from pyg_agfn.errors import InputError

HOSTILE = (
    "</script><script>alert(1)</script>",
    "<!--<script>",
    "a&amp;b\"'`${1}",
    "]]>{{data}}{{title}}\\",
    "\u2028\u2029\u202egnp.exe",
    "caf\udce9\ud800.png",
    "=cmd|' /C calc'!A0",
    "line\nbreak\r\n",
)


class Parts(HTMLParser):
    """What a browser takes from a page: tags with attributes, and the text of each element."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append((self.tags[-1][0] if self.tags else "", data))

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.tags)


def written(folder: Path, audit: StandIn, **options: Any) -> str:
    write_page(audit, folder / "page.html", **options)
    return (folder / "page.html").read_text(encoding="utf-8")


def data_of(text: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    assert found is not None
    return json.loads(found[1])


def download(data: dict[str, Any], choose: Callable[[dict[str, Any]], int | None]) -> str:
    """What the page's button downloads: decisionList of page.js."""
    lines = ["file,label\r\n"]
    for row in data["rows"]:
        choice = choose(row)
        if choice is not None and None not in (row["cell"], data["cells"][choice]):
            lines.append(f"{row['cell']},{data['cells'][choice]}\r\n")
    return "".join(lines)


def test_the_page_has_a_row_for_each_issue_with_images_and_labels(tmp_path):
    audit = audit_of([f"{i}.png" for i in range(6)], ["cat", "dog"], issues=2)
    data = data_of(written(tmp_path, audit))
    row = data["rows"][1]
    assert (row["rank"], row["file"], row["issue"]) == (2, "1.png", True)
    assert [data["classes"][row[key]] for key in ("given", "suggested")] == ["dog", "cat"]
    assert [row["issue"] for row in data["rows"]] == [True] * 2 + [False] * 4
    given_labels = {row.file: row.given_label for row in audit.rows}
    for image, label, name in row["neighbors"]:
        assert label == given_labels[name]
        assert data["rows"][image]["file"] == name  # a picture is there once
    for i, name in enumerate(row.file for row in audit.rows):
        shown = Image.open(io.BytesIO(base64.b64decode(data["images"][i])))
        expected = audit.pixels([name])[0].permute(1, 2, 0).numpy()
        assert np.array_equal(np.asarray(shown.convert("RGB")), expected)  # nothing is lost


def test_nothing_is_loaded_and_only_the_pages_own_script_runs(tmp_path):
    parts = Parts(written(tmp_path, audit_of(["a.png", "b.png"], ["x", "y"], issues=1)))
    for tag, attributes in parts.tags:
        for name in ("src", "href", "action", "srcset"):
            assert (attributes.get(name) or "data:").startswith("data:"), (tag, attributes)
        assert not [name for name in attributes if name.startswith("on") or name == "style"]
    assert not [text for tag, text in parts.texts if tag == "style" and re.search("url|@im", text)]
    (policy,) = (a["content"] for _, a in parts.tags if "http-equiv" in a)
    assert policy is not None
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert "unsafe" not in policy


@given(
    names=st.lists(st.text(min_size=1), min_size=1, max_size=6, unique=True),
    classes=st.lists(st.text(min_size=1), min_size=2, max_size=4, unique=True),
    text=st.text(),
)
@example(names=list(HOSTILE), classes=list(HOSTILE), text=" ".join(HOSTILE))
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_no_name_becomes_markup(tmp_path, names, classes, text):
    plain = Parts(written(tmp_path, audit_of(["n"] * len(names), ["c", "d"], issues=1)))
    audit = audit_of(names, classes, issues=1, text=text)
    page = written(tmp_path, audit, title=text)
    parts = Parts(page)
    plain_tags = [tag for tag, _ in plain.tags if tag != "p"]  # a paragraph for each line
    assert [tag for tag, _ in parts.tags if tag != "p"] == plain_tags
    raw = re.search(r'id="data">(.*?)</script>', page, re.DOTALL)
    assert raw is not None
    assert not set(raw[1]) & set("<>&")
    assert raw[1].isascii()
    data = json.loads(raw[1])
    assert len(data["rows"]) == len(names)
    assert all(row["file"].isprintable() for row in data["rows"])
    assert all(name.isprintable() for name in data["classes"])


NAME_PARTS = st.text(
    st.characters(exclude_characters="\0\r\n/\\", exclude_categories=["Cs"]), max_size=12
)


@given(
    stems=st.lists(NAME_PARTS, min_size=1, max_size=6, unique=True),
    classes=st.lists(NAME_PARTS.filter(len), min_size=2, max_size=4, unique_by=composed),
    choices=st.lists(st.integers(0, 3), min_size=6, max_size=6),
)
@example(
    stems=['a, "b"', "'c'", " d", "=e", "é è", '"', "train f"],
    classes=["sad face", "happy, very", 'the "third"', "=4"],
    choices=[0, 1, 2, 3, 2, 1],
)
@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_the_download_is_read_back_exactly(tmp_path, stems, classes, choices):
    names = [f"{stem}{i}.png" for i, stem in enumerate(stems)]  # reader compares composed accents
    data = data_of(written(tmp_path, audit_of(names, classes, issues=len(names))))
    chosen = {
        row["rank"] - 1: c % len(classes) for row, c in zip(data["rows"], choices, strict=False)
    }
    path = tmp_path / "label_decisions.csv"
    text = download(data, lambda row: chosen.get(row["rank"] - 1))
    path.write_bytes(text.encode())
    found = read_noise_file(path, names, classes, notation="names")
    assert found.labels == chosen


def test_what_a_list_cannot_hold_is_left_out_of_it(tmp_path):
    names = ["a.png", "new\nline.png", "caf\udce9.png", "b.png"]
    data = data_of(written(tmp_path, audit_of(names, ["x", "y\n"], issues=4)))
    assert [row["cell"] for row in data["rows"]] == ['"a.png"', None, None, '"b.png"']
    assert data["cells"] == ['"x"', None]
    assert download(data, lambda row: 0) == 'file,label\r\n"a.png","x"\r\n"b.png","x"\r\n'
    assert data["rows"][1]["file"] == "new\\nline.png"


@pytest.mark.parametrize(
    ("images", "issues", "limit", "rows", "shown_issues"),
    [
        (500, 3, 2000, 103, 3),
        (500, 150, 2000, 300, 150),
        (500, 300, 200, 200, 200),
        (5, 5, 9, 5, 5),
    ],
)
def test_the_page_is_bounded_and_says_what_it_leaves_out(
    tmp_path, images, issues, limit, rows, shown_issues
):
    audit = audit_of([str(i) for i in range(images)], ["x", "y"], issues=issues)
    text = written(tmp_path, audit, limit=limit)
    data = data_of(text)
    assert [row["rank"] for row in data["rows"]] == list(range(1, rows + 1))
    assert sum(row["issue"] for row in data["rows"]) == shown_issues
    assert f"{rows} likeliest wrong of {images} labels" in text
    left = f"The other {images - rows} are left out here; label_issues.csv has all."
    assert (left in text) == (rows < images)


def test_issues_come_before_rows_of_a_higher_score(tmp_path):
    audit = audit_of([str(i) for i in range(6)], ["x", "y"], issues=0)
    audit.rows = [row._replace(is_issue=row.rank in (2, 5)) for row in audit.rows]
    data = data_of(written(tmp_path, audit, limit=3))
    assert [row["rank"] for row in data["rows"]] == [1, 2, 5]


def test_more_images_get_coarser_thumbnails(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    noise = torch.from_numpy(rng.integers(0, 256, (12, 3, 120, 200), dtype=np.uint8))
    names = [str(i) for i in range(12)]

    def pixels(wanted: Sequence[str]) -> torch.Tensor:
        return noise[[int(name) for name in wanted]]

    audit = audit_of(names, ["x", "y"], issues=12, pixels=pixels)
    whole = data_of(written(tmp_path, audit))
    assert not whole["pixelated"]
    sizes = [Image.open(io.BytesIO(base64.b64decode(text))).size for text in whole["images"]]
    assert set(sizes) == {(96, 58)}
    budget = sum(map(len, whole["images"])) // 3
    monkeypatch.setattr(page_module, "IMAGE_BYTES", budget)
    smaller = data_of(written(tmp_path, audit))
    assert len(smaller["images"]) == 12
    assert sum(map(len, smaller["images"])) <= budget


def test_decisions_are_kept_for_one_audit_only(tmp_path):
    names = ["a.png", "b.png"]
    first = data_of(written(tmp_path, audit_of(names, ["x", "y"], issues=2)))
    same = data_of(written(tmp_path, audit_of(names, ["x", "y"], issues=2), title="another"))
    other = data_of(written(tmp_path, audit_of(names, ["x", "z"], issues=2)))
    assert first["fingerprint"] == same["fingerprint"] != other["fingerprint"]


def test_an_audit_without_issues_says_so(tmp_path):
    text = written(tmp_path, audit_of(["a.png", "b.png"], ["x", "y"], issues=0))
    assert "No wrong labels were found." in text
    assert len(data_of(text)["rows"]) == 2


def test_an_audit_without_images_says_so(tmp_path):
    text = written(tmp_path, audit_of([], ["x", "y"], issues=0))
    assert "The audit has no images." in text
    assert "<main hidden>" in text


def test_a_page_that_cannot_be_written_is_one_line(tmp_path):
    with pytest.raises(InputError, match=r"page\.html: cannot be written"):
        write_page(audit_of(["a"], ["x", "y"], issues=1), tmp_path / "no" / "page.html")
