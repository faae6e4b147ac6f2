"""What an audit of labels finds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from pyg_agfn.errors import InputError, printable

if TYPE_CHECKING:
    from pyg_agfn.audit.cleanlab import CleanlabIssues

#: Classes that the summary names.
WORST_CLASSES = 3


class AuditRow(NamedTuple):
    """A label and what is known of it.

    Attributes:
        rank: From 1, the label that is most likely wrong.
        file: Name of the image.
        given_label: As the data set has it.
        suggested_label: The likeliest class.
        score: Probability that the given label is wrong.
        is_issue: Whether it is among the labels that are counted as wrong.
        model_probability: The model's, of the given label; NaN without a model.
        epoch_probability: The network's mean over the epochs of its training, of the given label;
            NaN where it is not known.
        neighbor_probability: The neighbours', of the given label; NaN without features.
        neighbors: The nearest training images whose labels are no issues, three at most.
    """

    rank: int
    file: str
    given_label: str
    suggested_label: str
    score: float
    is_issue: bool
    model_probability: float
    epoch_probability: float
    neighbor_probability: float
    neighbors: tuple[str, ...]


class NearDuplicate(NamedTuple):
    """Two images that are nearly equal and have different labels.

    Attributes:
        files: Their names.
        labels: Their given labels.
        similarity: Their cosine.
    """

    files: tuple[str, str]
    labels: tuple[str, str]
    similarity: float


def no_pixels(names: Sequence[str]) -> Tensor:
    """In the place of images where there are none.

    Raises:
        InputError: Always.
    """
    raise InputError("the audit has no images: give pixels to audit_labels()")


@dataclass(frozen=True)
class LabelAudit:
    r"""All labels of a data set, the likeliest wrong ones first. Iterates over its rows.

    Attributes:
        rows: A row a label.
        classes: Names of the classes.
        noise_rate: Estimated share of wrong labels.
        interval: Between which shares the true one is, by 95%.
        near_duplicates: Pairs of nearly equal images with different labels, the most alike first.
        pixels: Reads images by their names, ``uint8`` :math:`(n, C, H, W)`.
        index: Which image each row is of.
    """

    rows: Sequence[AuditRow]
    classes: tuple[str, ...]
    noise_rate: float
    interval: tuple[float, float]
    near_duplicates: Sequence[NearDuplicate] = ()
    pixels: Callable[[Sequence[str]], Tensor] = no_pixels
    index: Sequence[int] = ()

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[AuditRow]:
        return iter(self.rows)

    @property
    def issues(self) -> list[AuditRow]:
        """The labels that are counted as wrong."""
        return [row for row in self.rows if row.is_issue]

    def __str__(self) -> str:
        issues = self.issues
        text = f"{len(issues):,} of {len(self):,} labels are likely wrong"
        if not issues:
            return text
        first = issues[0]
        return (
            f"{text}; first {printable(first.file, 80)}: given {printable(first.given_label, 40)}, "
            f"suggested {printable(first.suggested_label, 40)} ({first.score:.1%} wrong)"
        )

    def summary(self) -> str:
        """The findings in a few sentences, one a line."""
        low, high = self.interval
        issues = self.issues
        lines = [
            f"About {self.noise_rate:.1%} of {len(self):,} labels are wrong, by 95% between "
            f"{low:.1%} and {high:.1%}."
        ]
        if issues:
            lines.append(f"{len(issues):,} labels are listed as issues.")
            lines.append(f"Worst classes: {self._worst_classes(issues)}.")
        else:
            lines.append("None of the labels is listed as an issue.")
        if self.near_duplicates:
            (first, second), labels, _ = self.near_duplicates[0]
            count = len(self.near_duplicates)
            lines.append(
                f"{count:,} {'pair' if count == 1 else 'pairs'} of nearly equal images with "
                f"different labels, such as {printable(first, 80)} ({printable(labels[0], 40)}) "
                f"and {printable(second, 80)} ({printable(labels[1], 40)})."
            )
        return "\n".join(lines)

    def _worst_classes(self, issues: Sequence[AuditRow]) -> str:
        given = Counter(row.given_label for row in self.rows)
        wrong = Counter(row.given_label for row in issues)
        worst = sorted(wrong, key=lambda name: (-wrong[name] / given[name], name))
        return ", ".join(
            f"{printable(name, 40)} ({wrong[name]:,} of {given[name]:,})"
            for name in worst[:WORST_CLASSES]
        )

    def issue_matrix(self) -> Tensor:
        r"""How many issues have a given and a suggested label.

        Shapes:
            - **output:** :math:`(K, K)`, given by suggested
        """
        place = {name: i for i, name in enumerate(self.classes)}
        matrix = torch.zeros(len(self.classes), len(self.classes), dtype=torch.long)
        for row in self.issues:
            matrix[place[row.given_label], place[row.suggested_label]] += 1
        return matrix

    def to_csv(self, path: str | PathLike[str]) -> None:
        """Writes all rows as CSV (:func:`pyg_agfn.audit.audit_files.write_issues`)."""
        from pyg_agfn.audit.audit_files import write_issues

        write_issues(self, path)

    def cleaned_to_csv(self, path: str | PathLike[str]) -> int:
        """Writes the corrected labels (:func:`pyg_agfn.audit.audit_files.write_cleaned`)."""
        from pyg_agfn.audit.audit_files import write_cleaned

        return write_cleaned(self, path)

    def to_cleanlab(self) -> CleanlabIssues:
        """The findings in cleanlab's forms (:func:`pyg_agfn.audit.cleanlab.to_cleanlab`)."""
        from pyg_agfn.audit.cleanlab import to_cleanlab

        return to_cleanlab(self)
