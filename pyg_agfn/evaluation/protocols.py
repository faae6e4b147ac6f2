"""Protocols: the batch composition in which each test image is classified.

A graph method's answer depends on the batch composition, so an accuracy means nothing until its
protocol is said. The headline is :class:`Bank`, the inductive accuracy.

A protocol registers itself. From then on every run is measured by it, and it is a column of the
tables and a key of ``metrics.json`` and ``evaluation.json``.
"""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from pyg_agfn.nn import BaselineClassifier, ReferenceBank
from pyg_agfn.registry import register_protocol

#: The protocol of the headline, and the one whose distance from it is the batch leakage.
HEADLINE, SORTED = "bank", "class_sorted"


@dataclass(frozen=True)
class EvaluationSettings:
    """What the protocols of a run are built from.

    Attributes:
        bank: References of the headline; None for a model without a graph.
        batch_size: Images a batch, where there are batches.
        draws: Random divisions into batches.
        seed: Of these divisions. ``metrics.json`` and ``evaluate.py`` use the run's.
    """

    bank: ReferenceBank | None = None
    batch_size: int = 256
    draws: int = 10
    seed: int = 0


class Protocol(ABC):
    """A way of putting test images into batches.

    A protocol maps the backbone's features of all images, which do not depend on the batch, to
    logits. A subclass registers itself by :func:`pyg_agfn.registry.register_protocol`. Attributes
    ``batch_size`` and ``seed``, where it has them, are written to ``evaluation.json``.

    Example:
        >>> @register_protocol("pairs")
        ... class Pairs(Protocol):
        ...     good_for = "batches of two images"
        ...
        ...     def logits(self, model, features, labels):
        ...         yield torch.cat([model.head(pair) for pair in features.split(2)])
    """

    #: What the protocol is good for, in one sentence.
    good_for: ClassVar[str] = ""
    #: Whether it draws at random: then it is reported by mean and deviation, even of one draw.
    is_random: ClassVar[bool] = False

    @classmethod
    def from_settings(cls, settings: EvaluationSettings) -> "Protocol":
        """The protocol by the settings of a run; the base takes none of them."""
        return cls()

    @abstractmethod
    def logits(
        self, model: BaselineClassifier, features: Tensor, labels: Tensor
    ) -> Iterator[Tensor]:
        r"""The logits of every image, one matrix a draw; the model is in evaluation mode.

        Shapes:
            - **input:** :math:`(n, F)`, true labels :math:`(n)`
            - **output:** :math:`(n, K)` each, in the images' own order
        """


@register_protocol(HEADLINE)
@dataclass(frozen=True)
class Bank(Protocol):
    """Each image joined to a fixed bank of training images, and to no other test image.

    Args:
        bank: The references; None for a model without a graph, which needs none.
    """

    good_for = "the headline, and deployment: an image's answer depends on the image alone"

    bank: ReferenceBank | None = None

    @classmethod
    def from_settings(cls, settings: EvaluationSettings) -> "Bank":
        return cls(settings.bank)

    @torch.no_grad()
    def logits(
        self, model: BaselineClassifier, features: Tensor, labels: Tensor
    ) -> Iterator[Tensor]:
        model.eval()
        if not joins_images(model):
            yield model.head(features)
        elif self.bank is None:
            raise ValueError("the bank protocol of a graph method needs a ReferenceBank")
        else:
            # In parts: the pairs of all images with all references would not fit.
            bank = self.bank
            every = torch.arange(len(features))
            yield _in_batches(lambda part: model.classifier(bank(part)), features, every, 1024)


@register_protocol("shuffled")
@dataclass(frozen=True)
class Shuffled(Protocol):
    """The images in random batches, several times.

    Args:
        batch_size: Images a batch.
        draws: Random divisions into batches.
        seed: Of the divisions, which are the same for every model.
    """

    good_for = "comparison with papers: what a shuffled test loader would have printed"
    is_random = True

    batch_size: int = 256
    draws: int = 10
    seed: int = 0

    @classmethod
    def from_settings(cls, settings: EvaluationSettings) -> "Shuffled":
        return cls(settings.batch_size, settings.draws, settings.seed)

    @torch.no_grad()
    def logits(
        self, model: BaselineClassifier, features: Tensor, labels: Tensor
    ) -> Iterator[Tensor]:
        model.eval()
        generator = torch.Generator().manual_seed(self.seed)
        for _ in range(self.draws):
            order = torch.randperm(len(features), generator=generator)
            yield _in_batches(model.head, features, order, self.batch_size)


@register_protocol("single")
@dataclass(frozen=True)
class Single(Protocol):
    r"""Each image by itself.

    For a graph of one node Eq. 6 is :math:`\hat{x} = \frac{1 + a}{1 + a} x W = x W`, which is what
    the layer gives to any batch without its graph.
    """

    good_for = "one image and nothing else at hand: the model without its graph"

    @torch.no_grad()
    def logits(
        self, model: BaselineClassifier, features: Tensor, labels: Tensor
    ) -> Iterator[Tensor]:
        model.eval()
        yield _head_without_graph(model, features)


@register_protocol(SORTED)
@dataclass(frozen=True)
class ClassSorted(Protocol):
    """The images in batches sorted by their true class, as an unshuffled folder loader has them.

    Args:
        batch_size: Images a batch.
    """

    good_for = "no result, only the batch leakage: what batch composition tells about the label"

    batch_size: int = 256

    @classmethod
    def from_settings(cls, settings: EvaluationSettings) -> "ClassSorted":
        return cls(settings.batch_size)

    @torch.no_grad()
    def logits(
        self, model: BaselineClassifier, features: Tensor, labels: Tensor
    ) -> Iterator[Tensor]:
        model.eval()
        order = labels.argsort(stable=True)
        yield _in_batches(model.head, features, order, self.batch_size)


def joins_images(model: BaselineClassifier) -> bool:
    """Whether a model's answer for an image takes in the others of its batch.

    Such a model's ``head`` has an argument ``use_graph``, by which it can be told not to.
    """
    return "use_graph" in inspect.signature(model.head).parameters


def _head_without_graph(model: BaselineClassifier, features: Tensor) -> Tensor:
    if not joins_images(model):
        return model.head(features)
    logits: Tensor = model.head(features, use_graph=False)  # type: ignore[call-arg]
    return logits


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
