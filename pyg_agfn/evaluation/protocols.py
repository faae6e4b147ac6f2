"""Protocols: in which company each test image is classified.

A graph method's answer depends on the batch, so an accuracy means nothing until its protocol is
said. The headline is :class:`Bank`.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torchmetrics.functional.classification import multiclass_accuracy

from pyg_agfn.nn import AGFNClassifier, BaselineClassifier, ReferenceBank


class Protocol(ABC):
    """A way of putting test images together.

    A protocol maps the backbone's features of all images, which do not depend on the batch, to
    logits. The model is put into evaluation mode.
    """

    #: Key in ``metrics.json``.
    name: ClassVar[str]
    #: What the protocol is good for, in one sentence.
    good_for: ClassVar[str]

    @abstractmethod
    def logits(
        self, model: BaselineClassifier, features: Tensor, labels: Tensor
    ) -> Iterator[Tensor]:
        r"""The logits of every image, one matrix a draw.

        Shapes:
            - **input:** :math:`(n, F)`, true labels :math:`(n)`
            - **output:** :math:`(n, K)` each
        """


@dataclass(frozen=True)
class Bank(Protocol):
    """Each image joined to a fixed bank of training images, and to no other test image.

    Args:
        bank: The references; None for a model without a graph, which needs none.
    """

    name = "bank"
    good_for = "the headline, and deployment: an image's answer depends on the image alone"

    bank: ReferenceBank | None = None

    @torch.no_grad()
    def logits(
        self, model: BaselineClassifier, features: Tensor, labels: Tensor
    ) -> Iterator[Tensor]:
        model.eval()
        if not isinstance(model, AGFNClassifier):
            yield model.head(features)
        elif self.bank is None:
            raise ValueError("the bank protocol of a graph method needs a ReferenceBank")
        else:
            # In parts: the pairs of all images with all references would not fit.
            bank = self.bank
            every = torch.arange(len(features))
            yield _in_batches(lambda part: model.classifier(bank(part)), features, every, 1024)


@dataclass(frozen=True)
class Shuffled(Protocol):
    """The images in random batches, several times.

    Args:
        batch_size: Images a batch.
        draws: Random divisions into batches.
        seed: Of the divisions, which are the same for every model.
    """

    name = "shuffled"
    good_for = "comparison with papers: what a shuffled test loader would have printed"

    batch_size: int = 256
    draws: int = 10
    seed: int = 0

    @torch.no_grad()
    def logits(
        self, model: BaselineClassifier, features: Tensor, labels: Tensor
    ) -> Iterator[Tensor]:
        model.eval()
        generator = torch.Generator().manual_seed(self.seed)
        for _ in range(self.draws):
            order = torch.randperm(len(features), generator=generator)
            yield _in_batches(model.head, features, order, self.batch_size)


@dataclass(frozen=True)
class Single(Protocol):
    r"""Each image by itself.

    For a graph of one node Eq. 6 is :math:`\hat{x} = \frac{1 + a}{1 + a} x W = x W`, which is what
    the layer gives to any batch without its graph.
    """

    name = "single"
    good_for = "one image and nothing else at hand: the model without its graph"

    @torch.no_grad()
    def logits(
        self, model: BaselineClassifier, features: Tensor, labels: Tensor
    ) -> Iterator[Tensor]:
        model.eval()
        if isinstance(model, AGFNClassifier):
            yield model.head(features, use_graph=False)
        else:
            yield model.head(features)


@dataclass(frozen=True)
class ClassSorted(Protocol):
    """The images in batches sorted by their true class, as an unshuffled folder loader has them.

    Args:
        batch_size: Images a batch.
    """

    name = "class_sorted"
    good_for = "no result, only the leak: what the batch's make-up tells about the label"

    batch_size: int = 256

    @torch.no_grad()
    def logits(
        self, model: BaselineClassifier, features: Tensor, labels: Tensor
    ) -> Iterator[Tensor]:
        model.eval()
        order = labels.argsort(stable=True)
        yield _in_batches(model.head, features, order, self.batch_size)


def _in_batches(
    answer: Callable[[Tensor], Tensor], features: Tensor, order: Tensor, batch_size: int
) -> Tensor:
    """Logits in the images' own order, computed in batches of another."""
    order = order.to(features.device)
    logits: Tensor | None = None
    for chosen in order.split(batch_size):
        part = answer(features[chosen])
        if logits is None:  # written where they belong: with many classes a copy takes gigabytes
            logits = part.new_empty(len(features), part.size(1))
        logits[chosen] = part
    assert logits is not None
    return logits


def standard_protocols(
    bank: ReferenceBank | None, batch_size: int, draws: int = 10, seed: int = 0
) -> tuple[Protocol, ...]:
    """What a run is measured by, the headline first.

    ``metrics.json`` and ``evaluate.py`` both take it from here, so that the same batch size, draws
    and seed give the same figures.

    Args:
        bank: References of the headline; None for a model without a graph.
        batch_size: Images a batch, where there are batches.
        draws: Random divisions into batches.
        seed: Of these divisions.
    """
    return Bank(bank), Shuffled(batch_size, draws, seed), Single(), ClassSorted(batch_size)


@dataclass(frozen=True)
class Outcome:
    """What a protocol measured.

    Attributes:
        protocol: The protocol.
        accuracies: One a draw, 0 to 1.
        logits: Of the first draw, (n, K); (0, K) where they were not to be kept.
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


def evaluate(
    protocol: Protocol,
    model: BaselineClassifier,
    features: Tensor,
    labels: Tensor,
    keep_logits: bool = True,
) -> Outcome:
    """Accuracy of a model by a protocol.

    Args:
        protocol: The company of each image.
        model: Classifier whose ``head`` takes the features.
        features: The backbone's features of the test images, (n, F).
        labels: Their true labels, (n).
        keep_logits: Keep those of the first draw. With thousands of classes they are most of the
            memory.
    """
    labels = labels.to(features.device)
    accuracies: list[float] = []
    first: Tensor | None = None
    for logits in protocol.logits(model, features, labels):
        accuracies.append(accuracy(logits, labels))
        if first is None:
            first = logits if keep_logits else logits.new_empty(0, logits.size(1))
        del logits  # before the next draw is computed
    assert first is not None
    return Outcome(protocol, accuracies, first)


def accuracy(logits: Tensor, labels: Tensor) -> float:
    r"""Share of images whose highest logit is the label's, :math:`(n, K)` and :math:`(n)`."""
    score = multiclass_accuracy(logits, labels.to(logits.device), logits.size(1), average="micro")
    return float(score)
