"""Everything there is to say of a run on test images."""

from dataclasses import asdict, dataclass
from typing import Any

from rich.table import Table
from torch import Tensor

from pyg_agfn.errors import InputError, printable
from pyg_agfn.evaluation.protocols import (
    ClassSorted,
    Outcome,
    Shuffled,
    evaluate,
    standard_protocols,
)
from pyg_agfn.evaluation.scores import Comparison, Scores, score, wilson_interval
from pyg_agfn.nn import BaselineClassifier, ReferenceBank

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
        outcomes: By protocol, the headline first.
        scores: Of the headline.
        labels: True labels of the test images, (n).
    """

    name: str
    classes: tuple[str, ...]
    outcomes: list[Outcome]
    scores: Scores
    labels: Tensor

    @property
    def headline(self) -> Outcome:
        """The outcome of the bank protocol."""
        return self.outcomes[0]

    @property
    def leak(self) -> float:
        """What sorting the test batches by class adds to the headline's accuracy."""
        return next(o for o in self.outcomes if o.protocol.name == "class_sorted").mean - (
            self.headline.mean
        )

    @property
    def shuffles(self) -> Shuffled:
        """The protocol whose shuffles a run that is compared with this one shares."""
        return next(o.protocol for o in self.outcomes if isinstance(o.protocol, Shuffled))

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
            "protocols": {o.protocol.name: self._outcome(o) for o in self.outcomes},
            "leak": self.leak,
            "classes": list(self.classes),
            "bank": scores,
        }

    def _outcome(self, outcome: Outcome) -> dict[str, Any]:
        figures: dict[str, Any] = {
            "accuracy": outcome.mean,
            "std": outcome.std,
            "draws": len(outcome.accuracies),
            "interval": _interval(outcome, len(self.labels)),
        }
        if isinstance(outcome.protocol, Shuffled | ClassSorted):
            figures["batch_size"] = outcome.protocol.batch_size
        if isinstance(outcome.protocol, Shuffled):
            figures["seed"] = outcome.protocol.seed
        return figures


def make_report(
    name: str,
    classes: tuple[str, ...],
    model: BaselineClassifier,
    bank: ReferenceBank | None,
    features: Tensor,
    labels: Tensor,
    batch_size: int,
    draws: int = 10,
    seed: int = 0,
) -> Report:
    """Evaluates a model by every protocol.

    Args:
        name: Of the run.
        classes: Names of the classes.
        model: The model, in evaluation mode.
        bank: Its references; None for a model without a graph.
        features: The backbone's features of the test images, (n, F).
        labels: Their true labels, (n).
        batch_size: Of the protocols that use batches.
        draws: Random divisions into batches.
        seed: Of these.

    Raises:
        InputError: An answer is no number, as weights that are out of all proportion give it.
    """
    outcomes = [
        evaluate(protocol, model, features, labels, keep_logits=i == 0)
        for i, protocol in enumerate(standard_protocols(bank, batch_size, draws, seed))
    ]
    if not bool(outcomes[0].logits.isfinite().all()):
        raise InputError(f"{name}: the model's answers are no numbers; it is broken")
    return Report(name, classes, outcomes, score(outcomes[0].logits, labels), labels.cpu())


def _interval(outcome: Outcome, images: int) -> tuple[float, float]:
    return wilson_interval(round(outcome.mean * images), images)


def protocol_table(report: Report) -> Table:
    """Accuracy by protocol, with 95% intervals and what each is good for."""
    title = printable(report.name)
    table = Table("protocol", "accuracy %", "95% interval", "good for", title=title, box=None)
    batches = ""
    for outcome in report.outcomes:
        low, high = _interval(outcome, len(report.labels))
        spread = f" ± {100 * outcome.std:.2f}" if len(outcome.accuracies) > 1 else ""
        table.add_row(
            outcome.protocol.name,
            f"{100 * outcome.mean:.2f}{spread}",
            f"{100 * low:.2f} - {100 * high:.2f}",
            outcome.protocol.good_for,
        )
        if isinstance(outcome.protocol, Shuffled):
            batches = (
                f"shuffled: {len(outcome.accuracies)} draws from seed {outcome.protocol.seed}, "
                f"batches of {outcome.protocol.batch_size}"
            )
    table.caption = f"leak (class_sorted - bank): {100 * report.leak:+.2f} points\n{batches}"
    return table


def class_table(report: Report) -> Table:
    """The headline in detail; of many classes those of the lowest accuracy."""
    scores = report.scores
    table = Table("class", "images", "accuracy %", title="by the bank", box=None)
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
        f"{comparison.only_second}: p = {comparison.p_value:.2g} (exact McNemar test, by the bank)"
    )
