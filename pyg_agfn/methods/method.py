"""What a training method is: the model that it trains, and what a step minimizes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pyg_agfn.nn import BaselineClassifier

if TYPE_CHECKING:
    from pyg_agfn.runs.model_config import ModelConfig
    from pyg_agfn.training.options import TrainOptions

Criterion = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class TrainingBatch:
    r"""What a training step sees.

    Attributes:
        images: :math:`(N, C, H, W)`, augmented.
        labels: As given, :math:`(N)`.
        index: Which training images these are, :math:`(N)`.
        views: Further views of the same images by their names, :attr:`Method.views`.
        epoch: From 1.
        soft_labels: Distributions of the classes, :math:`(N, K)`, that are to be learned in the
            place of the labels; None: the labels are. A method gets them only if it says so by
            :attr:`Method.learns_soft_labels`.
    """

    images: Tensor
    labels: Tensor
    index: Tensor
    views: Mapping[str, Tensor]
    epoch: int = 1
    soft_labels: Tensor | None = None

    @property
    def learned(self) -> Tensor:
        r"""What a loss compares answers with: the soft labels if there are any, else the labels."""
        return self.labels if self.soft_labels is None else self.soft_labels


@dataclass(frozen=True)
class StepOutput:
    r"""What a training step yields. With S draws of a graph there are S answers to an image.

    Attributes:
        loss: What :math:`W` minimizes, a scalar.
        logits: :math:`(S \cdot N, K)`, draw after draw.
        targets: The labels that the accuracy in training is counted by, :math:`(S \cdot N)`.
        graph_loss: What :math:`\alpha, \beta` minimize; None: they rest.
    """

    loss: Tensor
    logits: Tensor
    targets: Tensor
    graph_loss: Tensor | None = None


class TrainingOutputs(NamedTuple):
    r"""What the model says of all training images, in evaluation mode and without augmentation.

    Attributes:
        features: :math:`(n, F)`, in the order of the images.
        logits: Of each image by itself, :math:`(n, K)`.
        labels: As given, :math:`(n)`.
    """

    features: Tensor
    logits: Tensor
    labels: Tensor


Extract = Callable[[], TrainingOutputs]


class Method:
    r"""A training method: the baseline's, and the base of all others.

    A subclass registers itself by :func:`pyg_agfn.registry.register_method`, and overrides
    :meth:`training_step`, most often alone.

    Args:
        criterion: Loss of logits :math:`(N, K)` and labels :math:`(N)` or distributions
            :math:`(N, K)`, a scalar. (default: cross-entropy)
    """

    #: Its name in options and tables; set where it is registered.
    name: ClassVar[str] = ""
    #: What it does, as a part of a sentence after its name.
    summary: ClassVar[str] = ""
    #: Its line in pictures; one that is free if not given.
    color: ClassVar[str | None] = None
    linestyle: ClassVar[str] = "-"
    #: Whether its samples see each other in the answer.
    joins_images: ClassVar[bool] = False
    #: Whether it is defined by a loss of its own, so that option ``--loss`` says nothing to it.
    own_loss: ClassVar[bool] = False
    #: Whether its steps learn :attr:`TrainingBatch.soft_labels` where there are any; a method that
    #: does not is refused on images that have them.
    learns_soft_labels: ClassVar[bool] = False
    #: Whether its steps may run a compiled backbone; those that look at its layers cannot.
    compiles: ClassVar[bool] = True
    #: Further views of each image that a step needs, of :data:`pyg_agfn.datasets.views.VIEWS`.
    views: ClassVar[tuple[str, ...]] = ()
    #: Its own defaults of training options.
    defaults: ClassVar[Mapping[str, Any]] = {}
    #: The options that it takes, of those that not every method does.
    options: ClassVar[frozenset[str]] = frozenset()

    #: What :meth:`build_model` makes; it takes a backbone, the number of classes and the channels.
    model_class: ClassVar[type[BaselineClassifier]] = BaselineClassifier
    #: What is trained; set by :meth:`setup`.
    model: BaselineClassifier

    def __init__(self, criterion: Criterion = F.cross_entropy) -> None:
        self.criterion = criterion

    @classmethod
    def from_options(cls, options: TrainOptions, criterion: Criterion) -> Method:
        """The method by the options of a run."""
        return cls(criterion)

    @classmethod
    def build_model(
        cls, config: ModelConfig, backbone: str | nn.Module | None = None
    ) -> BaselineClassifier:
        """The model, with weights drawn from the global generator, the backbone's first.

        Args:
            config: What it is.
            backbone: A module in the place of the configuration's.
        """
        return cls.model_class(backbone or config.backbone, len(config.classes), config.channels)

    def setup(self, model: BaselineClassifier, num_images: int) -> None:
        """Called before the first step, with the model on its device.

        What is kept from step to step gets its type and shape here, so that a checkpoint is known
        to be of this run before it is read.
        """
        self.model = model

    def begin_epoch(self, epoch: int, extract: Extract) -> None:
        """Called before the first step of an epoch, from 1; not again where a run is resumed in it.

        Args:
            epoch: From 1.
            extract: What the model says of all training images; called only if it is needed, as it
                takes a pass. No draw of the training depends on whether it is called.
        """

    def training_step(self, batch: TrainingBatch) -> StepOutput:
        """What a mini-batch is to minimize; the model is in training mode."""
        logits = full_precision(self.model(batch.images))
        return StepOutput(self.criterion(logits, batch.learned), logits, batch.labels)

    def uses_graph(self, epoch: int) -> bool:
        """Whether the answers of an epoch, from 1, join the images."""
        return self.joins_images

    def inference_model(self) -> BaselineClassifier:
        """What is measured and kept: the model, or what was made of it on the way."""
        return self.model

    def metrics(self) -> dict[str, float | None]:
        """What it has found out about the data so far, by name; None for not yet."""
        return {}

    def state_dict(self) -> dict[str, Tensor]:
        """What it keeps from step to step."""
        return {}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Takes back what :meth:`state_dict` gave.

        Raises:
            ValueError: A value that it cannot have given.
        """


def full_precision(x: Tensor) -> Tensor:
    """At least ``float32``, in which a loss is computed whatever the model's precision."""
    return x.to(torch.promote_types(x.dtype, torch.float32))
