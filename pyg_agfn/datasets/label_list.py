"""Labels from a list file, in the forms that noisy labels are published in.

Forms that were looked at: SCN's ``0.1noise_train.txt`` for RAF-DB (absolute paths, numbers from 0;
kaiwang960112/Self-Cure-Network), EAC's ``noise01.txt`` and RAF-DB's own list, which RUL reads
(``train_00001.jpg 5``, numbers from 1; zyh-uaiaaaa/Erasing-Attention-Consistency), RAN's lists of
FERPlus (``7/fer0032220 6``: label, image, number of crops;
kaiwang960112/Challenge-condition-FER-dataset), those of AGFN's authors
(``train train_00001_aligned.jpg 4``; X-Lab-CN/AGBFN), and CIFAR-10N's as ``path class``.
"""

import csv
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from pyg_agfn.datasets.bad_data import BadData
from pyg_agfn.datasets.image_names import SEVERAL, ImageNames, composed
from pyg_agfn.datasets.label_notation import Notation, choose_notation, describe_notation
from pyg_agfn.datasets.lists import read_lines
from pyg_agfn.errors import InputError, as_path, printable


@dataclass(frozen=True)
class LabelList:
    """What a list says of the images, and how it was understood.

    Attributes:
        source: The list.
        labels: The label, 0 to K - 1, by the image's position; images that are not listed are not
            in it.
        lines: Its lines, without empty ones and a header.
        matched: Lines that give a training image a label.
        set_aside: Lines about images outside of the training part, which are passed over.
        notation: How its labels are written, in words.
    """

    source: Path
    labels: dict[int, int]
    lines: int
    matched: int
    set_aside: int
    notation: str

    def describe(self, differing: int, unlisted: int, origin: str) -> str:
        """One line that says what was done.

        Args:
            differing: Images whose label is another one now.
            unlisted: Training images that keep their label, as they are not listed.
            origin: Whose labels they had, such as ``the folders'``.
        """
        aside = f" ({self.set_aside:,} name images set aside)" if self.set_aside else ""
        rest = f"; {unlisted:,} images are not listed and keep their label" if unlisted else ""
        return printable(
            f"{self.source.name}: {self.lines:,} lines, {self.matched:,} matched{aside}, "
            f"{differing:,} labels differ from {origin}; labels are {self.notation}{rest}"
        )


class _Entry(NamedTuple):
    """A line: the image it names, where that image is, and its label; no image if it is no pair."""

    row: int
    image: str
    position: int | None
    text: str


def read_noise_file(
    path: Path,
    names: Sequence[str],
    classes: Sequence[str],
    labels: Sequence[int] = (),
    set_aside: Iterable[str] = (),
    notation: Notation = "auto",
    bad: BadData | None = None,
) -> LabelList:
    """Labels from a list with ``path label`` a line, understood as a whole before one is taken.

    Blanks, tabs, commas or semicolons separate the two, and both may hold blanks. Which image a
    path means is found by :class:`~pyg_agfn.datasets.image_names.ImageNames`, what a label means by
    :func:`~pyg_agfn.datasets.label_notation.choose_notation`. Empty lines are passed over, a header
    such as ``file,label``, and lines that repeat one.

    Args:
        path: The list.
        names: The training images, as paths below the data set's root.
        classes: Names of the K classes.
        labels: The labels that the images have, by which a doubtful notation is noticed; not
            looked at if empty.
        set_aside: Images of the data set that are not in the training part; lines about these are
            counted.
        notation: How labels are written: ``"names"``, ``"from-0"``, ``"from-1"``; ``"auto"``
            decides by the list.
        bad: Gathers bad rows, and says whether to continue without them.

    Raises:
        InputError: The file cannot be read, names no training image, or can be understood in
            several ways.
        BadDataError: A row is not ``path label``, or names an unknown class, an unknown image,
            several images, or an image that has another label further above.
    """
    path = as_path(path, "path of the list")
    bad = bad or BadData()
    index = ImageNames(names, set_aside)
    lines = list(read_lines(path))
    if lines and _HEADER.fullmatch(lines[0][1]):
        lines = lines[1:]
    known_labels = {composed(name) for name in classes}
    label_first = _label_first(lines, index, path) if notation == "auto" else None
    entries = label_first or [_entry(row, line, index, known_labels) for row, line in lines]

    known = [e for e in entries if e.position is not None and e.position != SEVERAL]
    agreements = Counter(
        (e.text, int(labels[e.position]))
        for e in known
        if e.position is not None and e.position < len(labels)
    )
    meaning = choose_notation(
        Counter(e.text for e in known),
        [composed(name) for name in classes],
        "from-0" if label_first else notation,
        path,
        agreements,
    )
    found: dict[int, int] = {}
    matched = aside = 0
    for row, image, position, text in entries:
        label = meaning.get(text)
        if not image:
            bad.add(f"expected 'path label', got {text[:80]!r}", path, row)
        elif position is None:
            bad.add("is no image of this data set", path, row, image)
        elif position == SEVERAL:
            bad.add("is the name of several images; write more of its path", path, row, image)
        elif position >= index.num_training:
            aside += 1
        elif label is None:
            bad.add(_no_label(text, meaning, classes), path, row, image)
        elif found.setdefault(position, label) != label:
            bad.add("has another label further above", path, row, image)
        else:
            matched += 1
    if not found:
        if not known and entries:
            raise InputError(
                f"{path}: names no image of this data set: it begins with "
                f"{printable(lines[0][1], 80)!r}, the data set with {printable(names[0], 80)!r}"
            )
        bad.raise_if_any()
        raise InputError(
            f"{path}: names no training image"
            + (
                f", only {aside:,} that are set aside"
                if aside
                else "; expected 'path label' a line"
            )
        )
    bad.raise_if_any()
    notation_text = describe_notation(meaning, classes)
    return LabelList(path, found, len(lines), matched, aside, notation_text)


#: What the first line of a CSV file says, such as ``file,label`` or ``image_name noisy_label``.
_HEADER = re.compile(
    r'"?(img|image|file|path|name)s?([ _]?(name|path|file|id))?"?[\s,;]+'
    r'"?((noisy|given|new)[ _])?(label|class|target|category)(s|es)?([ _](name|id))?"?',
    re.IGNORECASE,
)
#: RAN's form: label, image without ending, and perhaps how many crops there are of it.
_LABEL_FIRST = re.compile(r"(?P<label>\d+)/(?P<image>[^/\s.]+)\s+\d+", re.ASCII)


def _label_first(
    lines: Sequence[tuple[int, str]], index: ImageNames, path: Path
) -> list[_Entry] | None:
    """The entries of a list in RAN's form; None if it is in another.

    In RAN's form ``7/fer0032220 6`` means label 7, and not that ``7/fer0032220`` has label 6.
    """
    entries = []
    for row, line in lines:
        match = _LABEL_FIRST.fullmatch(line)
        if match is None:
            return None
        entries.append(_Entry(row, match["image"], index.find(match["image"]), match["label"]))
    if any(index.has_folder(entry.text) for entry in entries):
        raise InputError(
            f"{path}: {printable(lines[0][1], 80)!r} can mean the label behind the path, or, as in "
            "RAN's lists, the label before the slash; say by --noise-labels names, from-0 or "
            "from-1 that it is the one behind the path"
        )
    return entries


#: Most characters of a line, twice what a path can have, and most words of a label. A line of
#: blanks alone would else be divided in a million ways.
_MOST_CHARACTERS, _MOST_WORDS = 8192, 16
#: Where a line can be divided, and what some lists begin with.
_GAP = re.compile(r"\s*[,;\t]\s*|\s+")
_PART = re.compile(r"(train|training|test|val|valid|validation)[\s,;]+", re.IGNORECASE)


def _entry(row: int, line: str, index: ImageNames, known_labels: set[str]) -> _Entry:
    """The image and the label of a line, divided where the image is known.

    Both may hold blanks: ``happy face/1.jpg sad face``.
    """
    candidates = _csv_entries(row, line, index, known_labels)
    gaps = list(_GAP.finditer(line)) if len(line) <= _MOST_CHARACTERS else []
    for gap in reversed(gaps[-_MOST_WORDS:]):
        if gap.start() == 0 or gap.end() == len(line):
            continue
        text = composed(line[gap.end() :].strip("\"' "))
        image = line[: gap.start()].strip("\"'")
        positions = [index.find(image), index.find(_PART.sub("", image, count=1))]
        position = next((p for p in positions if p is not None), None)
        candidates.append(_Entry(row, image.removeprefix("./"), position, text))
    known = [entry for entry in candidates if entry.position is not None]
    with_label = [entry for entry in known if entry.text in known_labels or entry.text.isdecimal()]
    return next(iter(with_label or known or candidates), _Entry(row, "", None, line))


def _csv_entries(row: int, line: str, index: ImageNames, known_labels: set[str]) -> list[_Entry]:
    """The entry of a line of CSV with an image and a label that are known, or none.

    Its cells are taken as they are: quotes, and blanks at the ends, are parts of names there. An
    apostrophe in front may be the mark of :func:`~pyg_agfn.csv_text.csv_row`.
    """
    try:
        cells = next(csv.reader([line]), []) if len(line) <= _MOST_CHARACTERS else []
    except csv.Error:  # a byte 0, before Python 3.11
        return []
    if len(cells) != 2:
        return []
    images, labels = ((cell, cell.removeprefix("'")) for cell in cells)
    label = next((text for text in map(composed, labels) if text in known_labels), None)
    position = next((p for p in map(index.find, images) if p is not None), None)
    if label is None or position is None:
        return []
    return [_Entry(row, cells[0], position, label)]


def _no_label(text: str, meaning: dict[str, int], classes: Sequence[str]) -> str:
    base = next((int(t) - label for t, label in meaning.items() if t not in classes), None)
    allowed = ", ".join(classes) if base is None else f"{base} to {base + len(classes) - 1}"
    return f"label {text[:80]!r} is none of {allowed}"
