"""Predictions as text, one by one: a table, CSV, JSON or JSON lines."""

import io
import json
import textwrap
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from rich.cells import cell_len, set_cell_size

from pyg_agfn.csv_text import csv_row, on_one_line
from pyg_agfn.errors import printable
from pyg_agfn.image_predictions import Prediction, Reference

#: Fewest columns in which a reference is readable.
REFERENCE_WIDTH = 20


class Writer(ABC):
    """Writes predictions one by one; each is complete and flushed before the next is taken.

    Args:
        out: The stream to write to.
    """

    def __init__(self, out: TextIO) -> None:
        self.out = out

    @abstractmethod
    def write(self, prediction: Prediction) -> None:
        """Writes one prediction."""

    def close(self) -> None:  # noqa: B027
        """Writes the end that completes the text, for any number of predictions."""

    def _put(self, text: str) -> None:
        self.out.write(text)
        self.out.flush()


class JsonWriter(Writer):
    """One list of :meth:`Prediction.as_json`, in ASCII.

    A byte of a file name that is not UTF-8 is written as half of a surrogate pair. ``os.fsencode``
    turns it back into the byte.

    Args:
        out: The stream to write to.
        top: Write the probabilities of this many classes only.
    """

    def __init__(self, out: TextIO, top: int | None = None) -> None:
        super().__init__(out)
        self.top = top
        self.begun = False

    def write(self, prediction: Prediction) -> None:
        text = json.dumps(prediction.as_json(self.top), indent=2)
        separator, self.begun = ",\n" if self.begun else "[\n", True
        self._put(separator + textwrap.indent(text, "  "))

    def close(self) -> None:
        self._put("\n]\n" if self.begun else "[]\n")


class JsonLinesWriter(JsonWriter):
    """One JSON object a line: the lines that are read are valid wherever the text ends."""

    def write(self, prediction: Prediction) -> None:
        self._put(json.dumps(prediction.as_json(self.top)) + "\n")

    def close(self) -> None:
        pass


class CsvWriter(Writer):
    """``file``, ``class``, ``margin``, a column ``p(NAME)`` for each class, and ``references``.

    With ``top`` there are columns ``class 1``, ``p 1``, ``class 2`` ... in place of one for each
    class. The text is UTF-8. Bytes of a file name that are not UTF-8 are written as they are; a
    terminal gets an escape in their place.

    Args:
        out: The stream to write to.
        classes: Names of the classes.
        top: Write the probabilities of this many classes only.
    """

    def __init__(self, out: TextIO, classes: Sequence[str], top: int | None = None) -> None:
        super().__init__(out)
        self.top = None if top is None else min(top, len(classes))
        self.bytes_as_they_are = not out.isatty()
        if self.bytes_as_they_are and isinstance(out, io.TextIOWrapper):
            out.reconfigure(encoding="utf-8", errors="surrogateescape")
        columns = [f"p({self._text(name)})" for name in classes]
        if self.top is not None:
            columns = [f"{kind} {i + 1}" for i in range(self.top) for kind in ("class", "p")]
        self._put(csv_row(["file", "class", "margin", *columns, "references"]))

    def write(self, prediction: Prediction) -> None:
        values = [f"{value:.6f}" for value in prediction.probabilities.values()]
        if self.top is not None:
            ranked = prediction.top(self.top)
            values = [text for name, p in ranked for text in (self._text(name), f"{p:.6f}")]
        shaped = "; ".join(f"{r.name} {r.label} {r.weight:.4f}" for r in prediction.references)
        name, best = str(prediction.file), prediction.top_two[0][0]
        margin = f"{prediction.margin:.6f}"
        cells = [self._text(name), self._text(best), margin, *values, self._text(shaped)]
        self._put(csv_row(cells))

    def _text(self, text: str) -> str:
        if not self.bytes_as_they_are:
            return printable(text, len(text))
        return on_one_line(text)


class TableWriter(Writer):
    """One line for each image: its two likeliest classes, and as many references as fit.

    Args:
        out: The stream to write to.
        files: The names of the images; the column is as wide as the longest.
        classes: Names of the classes.
        width: Columns of a line; the middle of long names is left out. None for no limit.
        own_line: Put the references on a line of their own.
    """

    def __init__(
        self,
        out: TextIO,
        files: Sequence[Path],
        classes: Sequence[str],
        width: int | None = None,
        own_line: bool = False,
    ) -> None:
        super().__init__(out)
        self.own_line = own_line and width is not None
        self.width = width
        self.class_width = max(len("class"), *(cell_len(printable(name)) for name in classes))
        self.file_width = max((cell_len(printable(str(file))) for file in files), default=5)
        self.room = None
        if width is not None:
            self.class_width = min(self.class_width, max(8, width // 7))
            room = max(width - 2 * self.class_width - 20, 12)  # four gaps, two numbers
            kept = 0 if self.own_line else REFERENCE_WIDTH + 2
            self.file_width = min(self.file_width, max(room - kept, min(room, 40)))
            self.room = room - self.file_width - 2
        self.file_width = max(self.file_width, 5)
        shown = not self.own_line and (self.room is None or self.room >= REFERENCE_WIDTH)
        self._line("image", "class", "p", "next", "margin", "shaped by" if shown else "")

    def write(self, prediction: Prediction) -> None:
        (first, p), (second, _) = prediction.top_two
        shaped = ""
        if not self.own_line and (self.room is None or self.room >= REFERENCE_WIDTH):
            shaped = listed(prediction.references, self.room)
        margin = f"{prediction.margin:.1%}"
        self._line(str(prediction.file), first, f"{p:.1%}", second, margin, shaped)
        if self.own_line and self.width is not None and prediction.references:
            lead = "    shaped by "
            self._put(lead + listed(prediction.references, self.width - len(lead)) + "\n")

    def _line(self, file: str, first: str, p: str, second: str, margin: str, shaped: str) -> None:
        cells = (
            _fit(printable(file), self.file_width),
            _fit(printable(first), self.class_width),
            f"{p:>6}",
            _fit(printable(second), self.class_width),
            f"{margin:>6}",
            shaped,
        )
        self._put("  ".join(cells).rstrip() + "\n")


def listed(references: Sequence[Reference], width: int | None = None) -> str:
    """References in a line of ``width`` columns, and the number of those that do not fit."""
    text = ""
    for i, reference in enumerate(references):
        shown = f" ({printable(reference.label)}) {reference.weight:.1%}"
        name = printable(reference.name)
        left = f" +{len(references) - i - 1}" if i + 1 < len(references) else ""
        if width is not None and not text:
            shown = cut_middle(shown, max(width * 2 // 3, 8))
            name = cut_middle(name, max(width - cell_len(shown + left), 5))
        longer = f"{text}, {name}{shown}" if text else name + shown
        if width is not None and text and cell_len(longer + left) > width:
            return f"{text} +{len(references) - i}"
        text = longer
    return text


def cut_middle(text: str, width: int) -> str:
    """The text cut to ``width`` columns of a terminal. Both ends stay: they distinguish names."""
    if cell_len(text) <= width:
        return text
    head = (width - 1) // 3
    tail = set_cell_size(text[::-1], width - 1 - head)[::-1]
    return f"{set_cell_size(text, head)}…{tail}"


def _fit(text: str, width: int) -> str:
    return set_cell_size(cut_middle(text, width), width)
