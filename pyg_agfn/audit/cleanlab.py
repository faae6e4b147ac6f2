"""Findings in the forms of cleanlab 2, written and read without it.

Forms: ``cleanlab.filter.find_label_issues`` gives a mask, or the issues' positions by rank;
``cleanlab.classification.CleanLearning.get_label_issues`` a table in the images' order with the
columns ``is_label_issue``, ``label_quality``, ``given_label`` and ``predicted_label``.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from pyg_agfn.audit.check_input import as_tensor, texts
from pyg_agfn.audit.label_audit import AuditRow, LabelAudit
from pyg_agfn.audit.scores import label_issue_scores
from pyg_agfn.errors import InputError
from pyg_agfn.evaluation.label_issues import check_labels


class CleanlabIssues(NamedTuple):
    """An audit in cleanlab's forms.

    Attributes:
        indices: Positions of the issues, as ``find_label_issues`` ranks them by
            ``return_indices_ranked_by="self_confidence"``: the least sure label first.
        table: Columns as ``get_label_issues`` has them; ``pandas.DataFrame(table)`` is its table.
    """

    indices: "np.ndarray[Any, Any]"
    table: "dict[str, np.ndarray[Any, Any]]"


def to_cleanlab(audit: LabelAudit) -> CleanlabIssues:
    """The audit in cleanlab's forms.

    Label quality is the probability of the given label that the audit ranks by: the mean of the
    trained model's and of that over the epochs where both are known, the neighbours' where none is.
    """
    place = {name: i for i, name in enumerate(audit.classes)}
    order = np.array(audit.index, dtype=int)
    known = np.array([(row.model_probability, row.epoch_probability) for row in audit.rows])
    known = known.reshape(len(audit.rows), 2)
    count = (~np.isnan(known)).sum(1)
    own = np.where(
        count > 0,
        np.nansum(known, 1) / np.maximum(count, 1),
        [row.neighbor_probability for row in audit.rows],
    )
    columns = {
        "is_label_issue": np.array([row.is_issue for row in audit.rows], dtype=bool),
        "label_quality": own,
        "given_label": np.array([place[row.given_label] for row in audit.rows], dtype=int),
        "predicted_label": np.array([place[row.suggested_label] for row in audit.rows], dtype=int),
    }
    back = np.argsort(order)
    table = {name: column[back] for name, column in columns.items()}
    issues = np.flatnonzero(table["is_label_issue"])
    return CleanlabIssues(issues[np.argsort(table["label_quality"][issues], kind="stable")], table)


def from_cleanlab(
    issues: Any,
    labels: Any = None,
    probabilities: Any = None,
    names: Sequence[str] | None = None,
    classes: Sequence[str] | None = None,
) -> LabelAudit:
    """An audit of what cleanlab found.

    The share of wrong labels is that of cleanlab's issues, whose interval is not known: it is
    that share alone.

    Args:
        issues: A table of ``get_label_issues``, which needs nothing else; or what
            ``find_label_issues`` gives, a mask or ranked positions.
        labels: Labels as given, for a mask or positions.
        probabilities: What ``find_label_issues`` was given.
        names: What the images are called. (default: their positions)
        classes: Names of the classes. (default: their numbers)

    Raises:
        InputError: A column is missing, or labels and probabilities do not fit the positions.
    """
    if hasattr(issues, "keys"):
        table = _from_table(issues)
    elif labels is None or probabilities is None:
        raise InputError("a mask or positions of issues need labels and probabilities")
    else:
        table = _from_positions(issues, labels, probabilities)
    is_issue, quality, given, predicted, first = table
    count = max(int(given.max(initial=0)), int(predicted.max(initial=0))) + 1
    classes = texts("classes", classes, len(classes or range(count)), "classes")
    check_labels(torch.from_numpy(given), len(given), len(classes))
    names = texts("names", names, len(given), "images")
    order = np.lexsort((quality, first))
    rows = [
        AuditRow(
            rank,
            names[i],
            classes[given[i]],
            classes[predicted[i]],
            1 - float(quality[i]),
            bool(is_issue[i]),
            float(quality[i]),
            float("nan"),
            float("nan"),
            (),
        )
        for rank, i in enumerate(order.tolist(), 1)
    ]
    share = float(is_issue.mean())
    return LabelAudit(rows, tuple(classes), share, (share, share), index=order.tolist())


Columns = tuple[
    "np.ndarray[Any, Any]",
    "np.ndarray[Any, Any]",
    "np.ndarray[Any, Any]",
    "np.ndarray[Any, Any]",
    "np.ndarray[Any, Any]",
]


def _from_table(table: Any) -> Columns:
    """Issue, quality, given and predicted label of each image, and what they are sorted by."""
    names = ("is_label_issue", "label_quality", "given_label", "predicted_label")
    if missing := [name for name in names if name not in table]:
        raise InputError(f"the table of issues has no column {', '.join(missing)}")
    issue, quality, given, predicted = (np.asarray(table[name]) for name in names)
    first = np.zeros(len(quality))
    return (
        issue.astype(bool),
        quality.astype(float),
        given.astype(int),
        predicted.astype(int),
        first,
    )


def _from_positions(issues: Any, labels: Any, probabilities: Any) -> Columns:
    found, given, chances = np.asarray(issues), as_tensor(labels), as_tensor(probabilities)
    quality = 1 - label_issue_scores(chances, given).double().numpy()
    count = len(quality)
    positions = np.flatnonzero(found) if found.dtype == bool else found.astype(int)
    fits = len(found) == count if found.dtype == bool else len(set(positions)) == len(positions)
    if not fits or (len(positions) and not 0 <= positions.min() <= positions.max() < count):
        raise InputError(f"issues must be a mask or different positions of {count:,} images")
    is_issue = np.zeros(count, dtype=bool)
    is_issue[positions] = True
    first = np.full(count, len(positions))  # what is no issue comes after the last one
    first[positions] = 0 if found.dtype == bool else np.arange(len(positions))
    return is_issue, quality, given.long().numpy(), chances.argmax(1).numpy(), first
