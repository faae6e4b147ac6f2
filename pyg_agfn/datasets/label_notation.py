"""How a list writes its labels: decided once, from all of its lines, before a label is changed."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import get_args

from pyg_agfn.choices import Notation as Notation
from pyg_agfn.errors import InputError, printable


def choose_notation(
    texts: Mapping[str, int],
    classes: Sequence[str],
    notation: Notation,
    source: Path,
    agreements: Mapping[tuple[str, int], int],
) -> dict[str, int]:
    """The class that each label text of a list means.

    One notation holds for the whole list. Numbers count from 0 if there is a 0 and no K, from 1 if
    there is a K and no 0. Class names that are numbers themselves, such as folders ``1`` and ``2``,
    are names as long as every label is one of them. Where two notations are possible and mean
    different classes, or where another one agrees far better with the labels that the images have,
    no label can be trusted, and the list is refused.

    Args:
        texts: How many lines have each label text.
        classes: Names of the K classes.
        notation: What the user says about it.
        source: The list, for messages.
        agreements: By label text and class, how many images with that text have that class so far.

    Returns:
        A class, 0 to K - 1, for each text that is a label. The others are no labels of this
        notation.

    Raises:
        InputError: The notation is unknown, or cannot be decided.
    """
    if notation not in get_args(Notation):
        raise InputError(
            f"--noise-labels must be one of {', '.join(get_args(Notation))}, got {notation!r}"
        )
    readings = _readings(texts, classes)
    if notation != "auto":
        return readings[notation]
    numbers = {text for text in texts if _is_number(text)}
    if not numbers or any(text in readings["names"] for text in texts.keys() - numbers):
        return readings["names"]

    possible = [name for name, reading in readings.items() if numbers <= reading.keys()]
    if all(map(_is_number, classes)) and list(classes) != sorted(classes, key=int):
        # Folders 1, 10, 2: their order as names is not the one that numbers would have.
        possible = [name for name in possible if name == "names"]
    low, high = min(map(int, numbers)), max(map(int, numbers))
    what = f"{source}: its labels from {low} to {high}"
    if not possible:
        raise InputError(
            f"{what} are neither class names ({_some(classes)}) nor numbers of the {len(classes)} "
            f"classes, 0 to {len(classes) - 1} or 1 to {len(classes)}; correct the list, or say by "
            "--noise-labels names, from-0 or from-1 how it writes labels, and the rows that do not "
            "fit are reported"
        )
    chosen = possible[0]  # names come first
    agreeing = {
        name: sum(agreements.get(item, 0) for item in reading.items())
        for name, reading in readings.items()
    }
    lines = sum(texts.values())
    others = [name for name in readings if readings[name] != readings[chosen]]
    in_doubt = [
        name
        for name in others
        if (chosen != "names" and name in possible)
        or 2 * agreeing[name] > max(4 * agreeing[chosen], lines)
    ]
    if in_doubt:
        ways = ", ".join(f"{name} {agreeing[name]:,}" for name in (chosen, *in_doubt))
        raise InputError(
            f"{what} can be read in several ways, which agree with the data set's own labels in so "
            f"many of {lines:,} lines: {ways}; say by --noise-labels which is meant"
        )
    return readings[chosen]


def describe_notation(meaning: Mapping[str, int], classes: Sequence[str]) -> str:
    """How the labels were read, in words: ``numbers from 0 (0 is neutral)``."""
    if all(classes[label] == text for text, label in meaning.items()):
        return "class names"
    text, label = min(meaning.items(), key=lambda item: item[1])
    return f"numbers from {int(text) - label} ({text} is {printable(classes[label], 40)})"


def _readings(texts: Mapping[str, int], classes: Sequence[str]) -> dict[str, dict[str, int]]:
    """What each notation makes of the texts that it knows."""
    places = {name: label for label, name in enumerate(classes)}
    numbers = {text: int(text) for text in texts if _is_number(text)}
    return {
        "names": {text: places[text] for text in texts if text in places},
        "from-0": {text: n for text, n in numbers.items() if n < len(classes)},
        "from-1": {text: n - 1 for text, n in numbers.items() if 1 <= n <= len(classes)},
    }


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 9


def _some(classes: Sequence[str]) -> str:
    shown = ", ".join(printable(name, 40) for name in classes[:8])
    return f"{shown}, ..." if len(classes) > 8 else shown
