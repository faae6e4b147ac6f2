"""Everything there is to say of a run on test images."""

from dataclasses import asdict, dataclass
from typing import Any

from rich.table import Table
from torch import Tensor

from pyg_agfn.errors import InputError, printable
from pyg_agfn.evaluation.protocols import Bank, ClassSorted, Outcome, Shuffled, Single, evaluate
from pyg_agfn.evaluation.scores import Comparison, Scores, score, wilson_interval
from pyg_agfn.nn import BaselineClassifier, ReferenceBank


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

    def as_json(self) -> dict[str, Any]:
        """All figures."""
        return {
            "run": self.name,
            "images": len(self.labels),
            "protocols": {
                o.protocol.name: {
                    "accuracy": o.mean,
                    "std": o.std,
                    "draws": len(o.accuracies),
                    "interval": _interval(o, len(self.labels)),
                }
                for o in self.outcomes
            },
            "leak": self.leak,
            "classes": list(self.classes),
            "bank": asdict(self.scores),
        }


def make_report(
    name: str,
    classes: tuple[str, ...],
    model: BaselineClassifier,
    bank: ReferenceBank | None,
    features: Tensor,
    labels: Tensor,
    batch_size: int,
    draws: int,
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
    protocols = (Bank(bank), Shuffled(batch_size, draws, seed), Single(), ClassSorted(batch_size))
    outcomes = [evaluate(protocol, model, features, labels) for protocol in protocols]
    if not bool(outcomes[0].logits.isfinite().all()):
        raise InputError(f"{name}: the model's answers are no numbers; it is broken")
    return Report(name, classes, outcomes, score(outcomes[0].logits, labels), labels.cpu())


def _interval(outcome: Outcome, images: int) -> tuple[float, float]:
    return wilson_interval(round(outcome.mean * images), images)


def protocol_table(report: Report) -> Table:
    """Accuracy by protocol, with 95% intervals and what each is good for."""
    table = Table("protocol", "accuracy %", "95% interval", "good for", title=report.name, box=None)
    for outcome in report.outcomes:
        low, high = _interval(outcome, len(report.labels))
        spread = f" ± {100 * outcome.std:.2f}" if len(outcome.accuracies) > 1 else ""
        table.add_row(
            outcome.protocol.name,
            f"{100 * outcome.mean:.2f}{spread}",
            f"{100 * low:.2f} - {100 * high:.2f}",
            outcome.protocol.good_for,
        )
    table.caption = f"leak (class_sorted - bank): {100 * report.leak:+.2f} points"
    return table


def class_table(report: Report) -> Table:
    """The headline in detail."""
    scores = report.scores
    table = Table("class", "images", "accuracy %", title="by the bank", box=None)
    for name, row, share in zip(
        report.classes, scores.confusion, scores.class_accuracy, strict=True
    ):
        table.add_row(printable(name, 40), str(sum(row)), f"{100 * share:.2f}")
    table.caption = (
        f"mean class accuracy {100 * scores.mean_class_accuracy:.2f}%, macro F1 "
        f"{100 * scores.macro_f1:.2f}%, calibration error {100 * scores.calibration_error:.2f}%"
    )
    return table


def comparison_line(first: Report, second: Report, comparison: Comparison) -> str:
    """McNemar's test in a sentence."""
    return (
        f"{first.name} alone is right on {comparison.only_first} images, {second.name} alone on "
        f"{comparison.only_second}: p = {comparison.p_value:.2g} (exact McNemar test, by the bank)"
    )
