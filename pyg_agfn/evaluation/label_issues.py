"""Which given labels are likely wrong, by a model's probabilities.

Source: ranking by the probability of the given label (self-confidence), Northcutt, Jiang, Chuang,
*Confident Learning: Estimating Uncertainty in Dataset Labels*, JAIR 2021, Section 3.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import NamedTuple

import torch
from torch import Tensor

from pyg_agfn.csv_text import csv_row, on_one_line
from pyg_agfn.errors import InputError, as_path, printable
from pyg_agfn.methods.neighbor_correction.issue_rate import MIN_IMAGES, estimate_issue_rate

#: How far the sum of a row of probabilities may be from 1: half precision is.
TOLERANCE = 0.01


class LabelIssue(NamedTuple):
    """A row of :class:`LabelIssues`.

    Attributes:
        rank: From 1, the label that is most likely wrong.
        name: Of the image.
        given_label: As the data set has it.
        suggested_label: The likeliest class.
        score: Probability that the given label is wrong.
        is_issue: Whether it is among the labels that are counted as wrong.
    """

    rank: int
    name: str
    given_label: str
    suggested_label: str
    score: float
    is_issue: bool


@dataclass(frozen=True)
class LabelIssues:
    r"""All labels of a data set, the most likely wrong ones first. Iterates over its rows.

    Attributes:
        index: Which images these are, :math:`(N)`.
        given: Their labels as given, :math:`(N)`.
        suggested: The classes that are likeliest, :math:`(N)`.
        score: Probabilities that the given labels are wrong, :math:`(N)`, descending.
        is_issue: Which are counted as wrong, boolean :math:`(N)`: the first ones.
        names: What the images are called.
        classes: Names of the classes.
    """

    index: Tensor
    given: Tensor
    suggested: Tensor
    score: Tensor
    is_issue: Tensor
    names: list[str]
    classes: list[str]

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[LabelIssue]:
        columns = (self.given, self.suggested, self.score, self.is_issue)
        rows = zip(self.names, *(column.tolist() for column in columns), strict=True)
        for rank, (name, given, suggested, score, is_issue) in enumerate(rows, 1):
            yield LabelIssue(
                rank, name, self.classes[given], self.classes[suggested], score, is_issue
            )

    def __str__(self) -> str:
        count, total = int(self.is_issue.sum()), len(self)
        text = f"{count:,} of {total:,} labels are likely wrong"
        if not count:
            return text
        first = next(iter(self))
        return (
            f"{text}; first {printable(first.name, 80)}: given {printable(first.given_label, 40)}, "
            f"suggested {printable(first.suggested_label, 40)} ({first.score:.1%} wrong)"
        )

    def to_csv(self, path: str | PathLike[str]) -> None:
        """Writes all rows as CSV: the columns are the attributes of :class:`LabelIssue`.

        A file that is there is replaced.

        Raises:
            InputError: It cannot be written.
        """
        path = as_path(path, "path")
        try:
            path.unlink(missing_ok=True)
            # x: through no link. The bytes of a name that are no UTF-8 stay as they are.
            with path.open("x", newline="", encoding="utf-8", errors="surrogateescape") as file:
                file.write(csv_row(LabelIssue._fields))
                for row in self:
                    cells = [on_one_line(cell) if isinstance(cell, str) else cell for cell in row]
                    file.write(csv_row(cells))
        except OSError as error:
            raise InputError(f"{path}: cannot be written ({error.strerror})") from None


def label_issue_scores(probabilities: Tensor, labels: Tensor) -> Tensor:
    r"""The probability that a given label is wrong, :math:`1 - p_{i, y_i}`.

    Args:
        probabilities (Tensor): Of the classes, by a model; rows sum to 1.
        labels (Tensor): Labels as given, 0 to K - 1.

    Shapes:
        - **input:** :math:`(N, K)`, :math:`(N)`
        - **output:** :math:`(N)`, 0 to 1

    Raises:
        InputError: Probabilities or labels that are none, or do not fit each other.
    """
    _check(probabilities, labels)
    given = probabilities.gather(1, labels.to(probabilities.device, torch.long).unsqueeze(1))
    return (1 - given.squeeze(1)).clamp(0, 1)


def find_label_issues(
    probabilities: Tensor,
    labels: Tensor,
    share: float | None = None,
    names: Sequence[str] | None = None,
    classes: Sequence[str] | None = None,
) -> LabelIssues:
    r"""Ranks labels by the probability that they are wrong.

    A model that has memorized a wrong label is sure of it. Use probabilities of a model that does
    not memorize them, such as one trained by ``agfn-nlc``, or of a model that has not seen the
    image.

    Args:
        probabilities (Tensor): Of the classes, by a model; rows sum to 1.
        labels (Tensor): Labels as given, 0 to K - 1.
        share (float, optional): Share of the labels that are counted as wrong, those of the highest
            score. (default: :func:`~pyg_agfn.methods.neighbor_correction.estimate_issue_rate`)
        names (Sequence[str], optional): What the images are called. (default: their positions)
        classes (Sequence[str], optional): Names of the classes. (default: their numbers)

    Shapes:
        - **input:** :math:`(N, K)`, :math:`(N)`

    Raises:
        InputError: Probabilities or labels that are none, a share that is not 0 to 1, other numbers
            of names than of images or classes, or too few images to estimate the share.

    Example:
        >>> issues = find_label_issues(logits.softmax(1), labels, classes=("cat", "dog"))
        >>> issues.to_csv("label_issues.csv")
    """
    scores = label_issue_scores(probabilities, labels).detach().cpu()
    probabilities, labels = probabilities.detach().cpu(), labels.cpu().long()
    images, num_classes = probabilities.shape
    names = _names("names", names, images, "images")
    classes = _names("classes", classes, num_classes, "classes")
    if share is None:
        share = estimate_issue_rate(probabilities, labels)
        if share is None:
            raise InputError(
                f"the share of wrong labels is estimated from at least {MIN_IMAGES} images whose "
                "probabilities differ between the classes; there are fewer: give share"
            )
    elif isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share <= 1:
        raise InputError(f"share must be a number from 0 to 1, got {share!r}")
    order = scores.argsort(descending=True, stable=True)
    return LabelIssues(
        index=order,
        given=labels[order],
        suggested=probabilities.argmax(1)[order],
        score=scores[order],
        is_issue=torch.arange(images) < round(share * images),
        names=[names[i] for i in order.tolist()],
        classes=classes,
    )


def _check(probabilities: Tensor, labels: Tensor) -> None:
    for name, value in (("probabilities", probabilities), ("labels", labels)):
        if not isinstance(value, Tensor):
            raise InputError(f"{name} must be a tensor, got {type(value).__name__}")
    shape = tuple(probabilities.shape)
    if len(shape) != 2 or shape[1] < 2 or not probabilities.is_floating_point():
        found = f"{probabilities.dtype} of shape {shape}"
        raise InputError(f"probabilities must be floats of shape (N, K), K at least 2, got {found}")
    if labels.shape != shape[:1] or labels.is_floating_point() or labels.is_complex():
        found = f"{labels.dtype} of shape {tuple(labels.shape)}"
        raise InputError(f"labels must be integers of shape ({shape[0]},), got {found}")
    wrong = (labels < 0) | (labels >= shape[1])
    if wrong.any():
        row = int(wrong.int().argmax())
        raise InputError(
            f"labels must be 0 to {shape[1] - 1}, got {int(labels[row])} of image {row}"
        )
    sums = probabilities.detach().sum(1, dtype=torch.float64)
    good = ((probabilities >= 0) & (probabilities <= 1 + TOLERANCE)).all(1)
    good &= (sums - 1).abs() <= TOLERANCE
    if not good.all():
        row = int((~good).int().argmax())
        raise InputError(
            f"probabilities of an image must be 0 to 1 and sum to 1, those of image {row} do not; "
            "logits become probabilities by softmax(1)"
        )


def _names(kind: str, given: Sequence[str] | None, count: int, of_what: str) -> list[str]:
    if given is None:
        return [str(i) for i in range(count)]
    if isinstance(given, str) or len(given) != count:
        raise InputError(f"{kind} must be {count:,} texts, one for each of the {of_what}")
    return [str(name) for name in given]
