"""Measures a model by protocols, all that are registered."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from pyg_agfn.errors import InputError, InterruptedRunError
from pyg_agfn.evaluation.protocols import HEADLINE, SORTED, EvaluationSettings, Protocol
from pyg_agfn.nn import BaselineClassifier
from pyg_agfn.registry import PROTOCOLS


@dataclass(frozen=True)
class Outcome:
    """What a protocol found.

    Attributes:
        protocol: How it was found.
        accuracies: One a draw, 0 to 1.
        logits: Of the first draw, (n, K); or (0, K) if they were not to be kept.
    """

    protocol: Protocol
    accuracies: list[float]
    logits: Tensor

    @property
    def mean(self) -> float:
        """Mean accuracy over the draws, 0 to 1."""
        return sum(self.accuracies) / len(self.accuracies)

    @property
    def std(self) -> float:
        """Sample standard deviation over the draws; 0 for one."""
        values = torch.tensor(self.accuracies, dtype=torch.float64)
        return float(values.std()) if len(values) > 1 else 0.0

    @property
    def is_random(self) -> bool:
        """Whether it is reported by mean and deviation."""
        return self.protocol.is_random or len(self.accuracies) > 1

    def as_metric(self) -> float | dict[str, float]:
        """What ``metrics.json`` holds: the accuracy, or mean, deviation and number of draws."""
        if not self.is_random:
            return self.mean
        return {"mean": self.mean, "std": self.std, "draws": len(self.accuracies)}


def standard_protocols(settings: EvaluationSettings) -> dict[str, Protocol]:
    """What a run is measured by: every registered protocol by its name, the headline first.

    ``metrics.json`` and ``evaluate.py`` both take it from here, so that the same settings give the
    same figures.

    Raises:
        InputError: A protocol from outside the package cannot be built.
    """
    protocols: dict[str, Protocol] = {}
    for name in PROTOCOLS:
        with _naming(name):
            protocols[name] = PROTOCOLS[name].from_settings(settings)
    return protocols


def evaluate_protocols(
    model: BaselineClassifier, features: Tensor, labels: Tensor, settings: EvaluationSettings
) -> dict[str, Outcome]:
    """Accuracy of a model by every registered protocol; the headline's logits are kept.

    Args:
        model: Classifier whose ``head`` takes the features.
        features: The backbone's features of the test images, (n, F).
        labels: Their true labels, (n).
        settings: What the protocols are built from.

    Raises:
        InputError: A protocol from outside the package fails; the line names it.
    """
    outcomes: dict[str, Outcome] = {}
    for name, protocol in standard_protocols(settings).items():
        with _naming(name):
            outcomes[name] = evaluate(protocol, model, features, labels, name == HEADLINE)
    return outcomes


def evaluate(
    protocol: Protocol,
    model: BaselineClassifier,
    features: Tensor,
    labels: Tensor,
    keep_logits: bool = True,
) -> Outcome:
    """Accuracy of a model by a protocol.

    Args:
        protocol: The batch composition in which each image is classified.
        model: Classifier whose ``head`` takes the features.
        features: The backbone's features of the test images, (n, F).
        labels: Their true labels, (n).
        keep_logits: Keep those of the first draw. With thousands of classes they are most of the
            memory.

    Raises:
        InputError: The protocol yields nothing, or anything but logits of these images.
    """
    model.eval()
    labels = labels.to(features.device)
    accuracies: list[float] = []
    first: Tensor | None = None
    with torch.no_grad():
        for logits in protocol.logits(model, features, labels):
            _check_logits(protocol, logits, len(labels), model)
            accuracies.append(accuracy(logits, labels))
            if first is None:
                first = logits if keep_logits else logits.new_empty(0, logits.size(1))
            del logits  # before the next draw is computed
    if first is None:
        raise InputError(f"{type(protocol).__name__}.logits yields nothing")
    return Outcome(protocol, accuracies, first)


def batch_leakage(outcomes: Mapping[str, Outcome]) -> float:
    """Accuracy in class-sorted batches minus inductive accuracy."""
    return outcomes[SORTED].mean - outcomes[HEADLINE].mean


def accuracy(logits: Tensor, labels: Tensor) -> float:
    r"""Share of images whose highest logit is the label's, :math:`(n, K)` and :math:`(n)`."""
    from torchmetrics.functional.classification import multiclass_accuracy  # takes a second

    score = multiclass_accuracy(logits, labels.to(logits.device), logits.size(1), average="micro")
    return float(score)


def mean_class_accuracy(logits: Tensor, labels: Tensor) -> float:
    r"""Mean of the classes' own accuracies, :math:`(n, K)` and :math:`(n)`.

    A class that no image has and none is classified as is left out, as in
    :func:`~pyg_agfn.evaluation.score`.
    """
    from torchmetrics.functional.classification import multiclass_accuracy

    score = multiclass_accuracy(logits, labels.to(logits.device), logits.size(1), average="macro")
    return float(score)


def _check_logits(
    protocol: Protocol, logits: object, images: int, model: BaselineClassifier
) -> None:
    who, classes = type(protocol).__name__, getattr(model.classifier, "out_features", "K")
    found = type(logits).__name__
    if isinstance(logits, Tensor):
        if logits.dim() == 2 and len(logits) == images and classes in ("K", logits.size(1)):
            return
        found = f"a tensor of shape {tuple(logits.shape)}"
    raise InputError(f"{who} yields {found}, where logits of shape ({images}, {classes}) belong")


@contextmanager
def _naming(name: str) -> Iterator[None]:
    """Says which protocol from outside the package has failed, and of which module it is."""
    try:
        yield
    except InterruptedRunError:  # a signal, whatever it came upon
        raise
    except Exception as error:
        module = PROTOCOLS.plugin_of(name)
        if module is None:
            raise
        reason = str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}"
        raise InputError(f"protocol {name!r} of {module}: {reason}") from error
