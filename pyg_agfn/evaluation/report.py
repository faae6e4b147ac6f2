"""Everything there is to say of a run on test images: figures by protocol and by class."""

from dataclasses import asdict, dataclass
from typing import Any

from rich.table import Table
from torch import Tensor

from pyg_agfn.errors import InputError, printable
from pyg_agfn.evaluation.outcomes import Outcome, batch_leakage, evaluate_protocols
from pyg_agfn.evaluation.protocols import HEADLINE, SORTED, EvaluationSettings
from pyg_agfn.evaluation.scores import Comparison, Scores, score, wilson_interval
from pyg_agfn.nn import BaselineClassifier

#: Classes up to which JSON has the confusion matrix as rows; of more it has the pairs that occur.
MATRIX_CLASSES = 100
#: Classes up to which the table by class has all of them.
LISTED_CLASSES = 50


@dataclass(frozen=True)
class Report:
    """A run by every protocol, and in detail by the bank.

    Attributes:
        name: Of the run.
        classes: Names of the classes.
        outcomes: By the protocol's name, the headline first.
        scores: Of the headline.
        labels: True labels of the test images, (n).
        settings: What the protocols were built from; a run that is compared with this one shares
            draws and seed.
    """

    name: str
    classes: tuple[str, ...]
    outcomes: dict[str, Outcome]
    scores: Scores
    labels: Tensor
    settings: EvaluationSettings

    @property
    def headline(self) -> Outcome:
        """The outcome of the bank protocol: the inductive accuracy."""
        return self.outcomes[HEADLINE]

    @property
    def leak(self) -> float:
        """The batch leakage: accuracy in class-sorted batches minus inductive accuracy."""
        return batch_leakage(self.outcomes)

    def as_json(self) -> dict[str, Any]:
        """All figures, of a size that grows with the classes and not with their square.

        ``bank`` has ``confusion``, a row for each true class, of up to :data:`MATRIX_CLASSES`
        classes; of more it has ``confusion_pairs``, three lists of equal length: true class,
        predicted class, images.
        """
        scores = asdict(self.scores)
        pairs = scores.pop("confusion_pairs")
        if len(self.classes) <= MATRIX_CLASSES:
            scores["confusion"] = self.scores.confusion
        else:
            columns = zip(*pairs, strict=True)
            names = ("true", "predicted", "images")
            scores["confusion_pairs"] = dict(zip(names, map(list, columns), strict=True))
        return {
            "run": self.name,
            "images": len(self.labels),
            "protocols": {name: self._figures(o) for name, o in self.outcomes.items()},
            "leak": self.leak,
            "classes": list(self.classes),
            "bank": scores,
        }

    def _figures(self, outcome: Outcome) -> dict[str, Any]:
        own = {
            name: getattr(outcome.protocol, name)
            for name in ("batch_size", "seed")
            if isinstance(getattr(outcome.protocol, name, None), int)
        }
        return {
            "accuracy": outcome.mean,
            "std": outcome.std,
            "draws": len(outcome.accuracies),
            "interval": _interval(outcome, len(self.labels)),
            **own,
        }


def make_report(
    name: str,
    classes: tuple[str, ...],
    model: BaselineClassifier,
    features: Tensor,
    labels: Tensor,
    settings: EvaluationSettings,
) -> Report:
    """Evaluates a model by every registered protocol.

    Args:
        name: Of the run.
        classes: Names of the classes.
        model: The model, in evaluation mode.
        features: The backbone's features of the test images, (n, F).
        labels: Their true labels, (n).
        settings: What the protocols are built from.

    Raises:
        InputError: An answer is no number, as weights that are out of all proportion give it; or a
            protocol from outside the package fails.
    """
    outcomes = evaluate_protocols(model, features, labels, settings)
    logits = outcomes[HEADLINE].logits
    if not bool(logits.isfinite().all()):
        raise InputError(f"{name}: the model's answers are no numbers; it is broken")
    return Report(name, classes, outcomes, score(logits, labels), labels.cpu(), settings)


def _interval(outcome: Outcome, images: int) -> tuple[float, float]:
    return wilson_interval(round(outcome.mean * images), images)


def protocol_table(report: Report) -> Table:
    """Accuracy by protocol, with 95% intervals and what each is good for."""
    title = printable(report.name)
    table = Table("protocol", "accuracy %", "95% interval", "good for", title=title, box=None)
    lines = [f"batch leakage ({SORTED} - {HEADLINE}): {100 * report.leak:+.2f} points"]
    for name, outcome in report.outcomes.items():
        low, high = _interval(outcome, len(report.labels))
        draws = len(outcome.accuracies)
        spread = f" ± {100 * outcome.std:.2f}" if draws > 1 else ""
        table.add_row(
            name,
            f"{100 * outcome.mean:.2f}{spread}",
            f"{100 * low:.2f} - {100 * high:.2f}",
            outcome.protocol.good_for,
        )
        if outcome.is_random:
            lines.append(f"{name}: {_drawn(outcome)}")
    table.caption = "\n".join(lines)
    return table


def _drawn(outcome: Outcome) -> str:
    """How often, from which seed and in batches of what size, as far as the protocol says it."""
    draws = len(outcome.accuracies)
    said = [f"{draws} draw{'s' if draws > 1 else ''}"]
    if hasattr(outcome.protocol, "seed"):
        said[0] += f" from seed {outcome.protocol.seed}"
    if hasattr(outcome.protocol, "batch_size"):
        said.append(f"batches of {outcome.protocol.batch_size}")
    return ", ".join(said)


def class_table(report: Report) -> Table:
    """The headline in detail; of many classes those of the lowest accuracy."""
    scores = report.scores
    table = Table(
        "class", "images", "accuracy %", title="inductive accuracy (reference bank)", box=None
    )
    rows = list(zip(report.classes, scores.class_images, scores.class_accuracy, strict=True))
    shown = rows
    if len(rows) > LISTED_CLASSES:
        shown = sorted(rows, key=lambda row: row[2])[:LISTED_CLASSES]
    for name, images, share in shown:
        table.add_row(printable(name, 40), str(images), f"{100 * share:.2f}")
    table.caption = (
        f"mean class accuracy {100 * scores.mean_class_accuracy:.2f}%, macro F1 "
        f"{100 * scores.macro_f1:.2f}%, calibration error {100 * scores.calibration_error:.2f}%"
    )
    if len(shown) < len(rows):
        table.caption += (
            f"\nthe {len(shown)} classes of the lowest accuracy of {len(rows):,}; "
            "evaluation.json has all"
        )
    return table


def comparison_line(first: Report, second: Report, comparison: Comparison) -> str:
    """McNemar's test in a sentence."""
    one, other = printable(first.name), printable(second.name)
    return (
        f"{one} alone is right on {comparison.only_first} images, {other} alone on "
        f"{comparison.only_second}: p = {comparison.p_value:.2g} (exact McNemar test, bank)"
    )
