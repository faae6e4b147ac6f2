"""The label audit as one web page, on which a person accepts or rejects each suggestion.

The page loads nothing: pictures, style and script are in the file, and its Content Security Policy
forbids any connection. Names of images and classes come from untrusted sources. They reach the
page as JSON in ASCII, in which no character can end a script, and are shown as text only.
"""

import hashlib
import html
import json
import re
from base64 import b64encode
from collections.abc import Callable, Iterable, Sequence
from importlib.resources import files
from os import PathLike
from typing import Any, Protocol

from torch import Tensor

from pyg_agfn.audit.thumbnails import thumbnails
from pyg_agfn.csv_text import csv_row
from pyg_agfn.errors import as_path, printable
from pyg_agfn.runs.json_files import write_whole

#: Most rows of a page.
ROWS_LIMIT = 2000
#: Rows beyond the issues: as many as there are issues, and at least so many.
MIN_FURTHER = 100
#: Most bytes of all thumbnails; names, labels and the script take about one million more.
IMAGE_BYTES = 17_000_000


class PageRow(Protocol):
    """What the page shows of a row: fields of the audit's rows."""

    @property
    def rank(self) -> int: ...
    @property
    def file(self) -> str: ...
    @property
    def given_label(self) -> str: ...
    @property
    def suggested_label(self) -> str: ...
    @property
    def score(self) -> float: ...
    @property
    def is_issue(self) -> bool: ...
    @property
    def neighbors(self) -> Sequence[str]: ...


class PageAudit(Protocol):
    """What the page shows of an audit: rows, the likeliest wrong label first, and their images."""

    @property
    def rows(self) -> Sequence[PageRow]: ...
    @property
    def classes(self) -> Sequence[str]: ...
    @property
    def pixels(self) -> Callable[[Sequence[str]], Tensor]: ...
    def summary(self) -> str: ...


def write_page(
    audit: PageAudit,
    path: str | PathLike[str],
    title: str = "Label audit",
    limit: int = ROWS_LIMIT,
) -> None:
    """Writes the likeliest wrong labels as one self-contained web page of at most some 20 MB.

    It has thumbnails with the nearest trusted images beside them, filters, and keys to accept or
    reject a suggestion. The decisions are downloaded as a list that
    :func:`~pyg_agfn.datasets.read_noise_file` reads. The issues are on the page, and as many rows
    behind them, up to the limit. A file that is there is replaced.

    Args:
        audit: The audit, such as a :class:`~pyg_agfn.audit.LabelAudit`.
        path: The page.
        title: Its title.
        limit: Most rows of the page.

    Raises:
        InputError: It cannot be written.
    """
    path = as_path(path, "path")
    rows = _chosen(audit.rows, limit)
    total, issues = len(audit.rows), sum(row.is_issue for row in rows)
    style, script = _part("page.css"), _part("page.js")
    parts = {
        "policy": "default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'; "
        f"style-src '{_hash(style)}'; script-src '{_hash(script)}'",
        "title": _text(title),
        "summary": "\n".join(
            f"<p>{_text(line)}</p>" for line in audit.summary().splitlines() if line.strip()
        ),
        "scope": _text(_scope(len(rows), issues, total)),
        "hidden": "" if rows else " hidden",
        "rows": f"{len(rows):,}",
        "issues": f"{issues:,}",
        "style": style,
        "script": script,
        "data": _data(audit, rows),
    }
    page = re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], _part("page.html"))
    write_whole(path, page.encode())


def _chosen(rows: Iterable[PageRow], limit: int) -> list[PageRow]:
    """The rows on the page, by rank: issues first of all."""
    rows = list(rows)
    issues = [row for row in rows if row.is_issue][:limit]
    further = min(max(len(issues), MIN_FURTHER), limit - len(issues))
    others = [row for row in rows if not row.is_issue][:further]
    return sorted([*issues, *others], key=lambda row: row.rank)


def _scope(shown: int, issues: int, total: int) -> str:
    if not total:
        return "The audit has no images."
    found = f"{issues:,} of them label issues" if issues else "none of them a label issue"
    text = f"This page has the {shown:,} likeliest wrong of {total:,} labels, {found}."
    if not issues:
        text = f"No wrong labels were found. {text}"
    if shown < total:
        text += f" The other {total - shown:,} are left out here; label_issues.csv has all."
    return text


def _data(audit: PageAudit, rows: Sequence[PageRow]) -> str:
    """What the script needs, as JSON of which no character means anything to HTML."""
    classes = list(audit.classes)
    place = {name: c for c, name in enumerate(classes)}
    large = list(dict.fromkeys(row.file for row in rows))
    known = set(large)
    beside = dict.fromkeys(name for row in rows for name in row.neighbors)
    small = [name for name in beside if name not in known]
    images, pixelated = thumbnails(audit.pixels, large, small, IMAGE_BYTES)
    image_of = {name: i for i, name in enumerate([*large, *small])}
    label_of = {row.file: row.given_label for row in audit.rows if row.file in beside}
    shown: list[dict[str, Any]] = [
        {
            "rank": row.rank,
            "file": printable(row.file),
            "cell": _cell(row.file),
            "given": place[row.given_label],
            "suggested": place[row.suggested_label],
            "score": round(float(row.score), 5),
            "issue": bool(row.is_issue),
            "image": image_of[row.file],
            "neighbors": [
                (image_of[name], printable(label_of.get(name, "")), printable(name))
                for name in row.neighbors
            ],
        }
        for row in rows
    ]
    identity = [classes, *((row.file, row.given_label, row.suggested_label) for row in rows)]
    content = {
        "fingerprint": hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:16],
        "classes": [printable(name) for name in classes],
        "cells": [_cell(name) for name in classes],
        "pixelated": pixelated,
        "rows": shown,
        "images": images,
    }
    text = json.dumps(content, separators=(",", ":"))
    return re.sub("[<>&]", lambda match: f"\\u{ord(match[0]):04x}", text)


def _cell(text: str) -> str | None:
    """A quoted cell of the downloaded list; None if no line of UTF-8 text can hold it."""
    if re.search("[\0\r\n\ud800-\udfff]", text):
        return None
    cell = csv_row([text]).removesuffix("\r\n")
    return cell if cell.startswith('"') else f'"{cell}"'


def _text(text: str) -> str:
    return html.escape(printable(text))


def _part(name: str) -> str:
    return files("pyg_agfn.audit").joinpath(name).read_text(encoding="utf-8").strip()


def _hash(text: str) -> str:
    return f"sha256-{b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
