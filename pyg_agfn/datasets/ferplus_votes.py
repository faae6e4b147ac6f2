"""What FERPlus' ten votes for an image say of its label.

Sources: Barsoum, Zhang, Canton Ferrer, Zhang, *Training Deep Networks for Facial Expression
Recognition with Crowd-Sourced Label Distribution*, ICMI 2016, and the authors' code
(microsoft/FERPlus, ``src/ferplus.py``).
"""

from collections.abc import Sequence

from pyg_agfn.choices import LabelMode

CLASSES = (
    "neutral",
    "happiness",
    "surprise",
    "sadness",
    "anger",
    "disgust",
    "fear",
    "contempt",
)
#: The columns of votes; ``NF`` is "no face".
VOTES = (*CLASSES, "unknown", "NF")


def check_votes(cells: Sequence[str]) -> str:
    """What is wrong with an image's votes, if they are not ten whole numbers."""
    if len(cells) != len(VOTES):
        return f"expected {len(VOTES)} columns of votes ({', '.join(VOTES)}), got {len(cells)}"
    for column, cell in zip(VOTES, map(str.strip, cells), strict=True):
        if not (cell.isascii() and cell.isdecimal() and len(cell) < 9):
            return f"votes for {column} must be a whole number, got {cell[:80]!r}"
    return ""


def winner(votes: Sequence[int], mode: LabelMode) -> int | None:
    """The class of an image by its votes; None if it has no class, and is left out.

    An image whose winner is ``unknown`` or ``NF`` has no class.

    Args:
        votes: For the columns of :data:`VOTES`.
        mode: ``"plurality"``: the column of most votes, of several the first one (Section 4.1 of
            the AGFN paper). ``"majority"``: the same, if it has more than half of all votes.
            ``"official-majority"``: columns of a single vote count as outliers and are set to 0
            first; of what is left, ``unknown`` and ``NF`` among it, the winner must have more than
            half. This is the rule of the authors' code and of the literature: it leaves 3,191
            images of Valid and 3,137 of Test.
    """
    if mode == "official-majority":
        votes = without_outliers(votes)
    most = max(votes)
    column = votes.index(most)
    enough = most > 0 if mode == "plurality" else 2 * most > sum(votes)
    return column if column < len(CLASSES) and enough else None


def without_outliers(votes: Sequence[int]) -> list[int]:
    """The votes without those that are alone in their column."""
    return [0 if count == 1 else count for count in votes]


def vote_distribution(votes: Sequence[int]) -> list[float]:
    """The share of each of the eight classes in an image's votes, without outliers.

    It is the target of the paper's cross-entropy loss. Where every vote is alone in its column all
    of them count. The authors' code cuts further: it keeps the largest columns, about three at
    most, until these hold three quarters of the votes. Here all columns of two votes and more stay.

    Args:
        votes: For the columns of :data:`VOTES`, at least one of them for a class.
    """
    of_classes = votes[: len(CLASSES)]
    kept = without_outliers(of_classes)
    if not any(kept):
        kept = list(of_classes)
    return [count / sum(kept) for count in kept]
