"""The paper's graph methods: AGFN, and Baseline-GCN with a graph of thresholds (Section 4.5).

Source: Du, Wang, Xiong, *Adaptive Graph-Based Feature Normalization for Facial Expression
Recognition*.
"""

from typing import TYPE_CHECKING, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pyg_agfn.methods.method import Criterion, Method, StepOutput, TrainingBatch, full_precision
from pyg_agfn.nn import AGFNClassifier, BaselineClassifier
from pyg_agfn.registry import register_method
from pyg_agfn.transforms import PoissonEdges, SimilarityEdges, ThresholdEdges

if TYPE_CHECKING:
    from pyg_agfn.choices import Descent
    from pyg_agfn.runs.model_config import ModelConfig
    from pyg_agfn.training.options import TrainOptions

#: Options of every method that joins the images of a mini-batch.
GRAPH_OPTIONS = frozenset(
    {
        "bank_choice",
        "bank_scale",
        "bank_size",
        "feature_dim",
        "graph_span",
        "pretrain_epochs",
        "propagation",
    }
)
#: Options of every method whose graph is learned.
POISSON_OPTIONS = GRAPH_OPTIONS | {
    "alpha",
    "beta",
    "graph_gradient",
    "graph_optimizer",
    "lr_graph",
    "samples",
}


class GraphMethod(Method):
    r"""Classifies the samples of a mini-batch after a graph has joined them (Figure 2).

    Args:
        criterion: Loss of logits :math:`(S \cdot N, K)` and labels. (default: cross-entropy)
        pretrain_epochs (int): Epochs before the graph joins the samples. (default: :obj:`0`)
    """

    joins_images = True
    learns_soft_labels = True
    options = GRAPH_OPTIONS

    model: AGFNClassifier

    def __init__(self, criterion: Criterion = F.cross_entropy, pretrain_epochs: int = 0) -> None:
        super().__init__(criterion)
        self.pretrain_epochs = pretrain_epochs

    @classmethod
    def from_options(cls, options: "TrainOptions", criterion: Criterion) -> "GraphMethod":
        return cls(criterion, options.pretrain_epochs)

    @classmethod
    def build_edges(cls, config: "ModelConfig") -> SimilarityEdges:
        """The graph generator of a model."""
        return ThresholdEdges(config.threshold)

    @classmethod
    def build_model(
        cls, config: "ModelConfig", backbone: str | nn.Module | None = None
    ) -> AGFNClassifier:
        return AGFNClassifier(
            backbone or config.backbone,
            len(config.classes),
            config.channels,
            hidden_channels=config.feature_dim,
            edges=cls.build_edges(config),
        )

    def setup(self, model: BaselineClassifier, num_images: int) -> None:
        if not isinstance(model, AGFNClassifier):
            raise TypeError(f"{self.name} trains an AGFNClassifier, got {type(model).__name__}")
        super().setup(model, num_images)

    def uses_graph(self, epoch: int) -> bool:
        return epoch > self.pretrain_epochs

    def training_step(self, batch: TrainingBatch) -> StepOutput:
        x = self.model.features(batch.images)
        return StepOutput(*self.loss_of_features(x, batch, self.uses_graph(batch.epoch)))

    def loss_of_features(
        self, x: Tensor, batch: TrainingBatch, use_graph: bool
    ) -> tuple[Tensor, Tensor, Tensor]:
        r"""Loss, logits and targets from the backbone's features :math:`(N, F)`.

        The loss is the mean over the images and the S draws of the graph (Eq. 10).
        """
        logits = full_precision(self.model.head(x, use_graph=use_graph))
        draws = len(logits) // len(x)
        learned = torch.cat([batch.learned] * draws)
        return self.criterion(logits, learned), logits, batch.labels.repeat(draws)


@register_method("threshold-gcn")
class ThresholdGCN(GraphMethod):
    """Joins samples whose cosine is above a threshold: the paper's *Baseline-GCN*."""

    summary = "images of a mini-batch are joined where their cosine is above a threshold"
    color = "#E69F00"
    linestyle = "--"
    options = GRAPH_OPTIONS | {"threshold"}


@register_method("agfn")
class AGFNMethod(GraphMethod):
    r"""AGFN to the letter of the paper: a Poisson graph whose :math:`\alpha, \beta` are learned.

    The paper takes :math:`W` and :math:`\alpha, \beta` as independent of each other, and updates
    each group by its own gradient (Section 3.3): that of :math:`\alpha, \beta` by Eq. 11 and 14,
    that of :math:`W` by Eq. 9 and 10. ``"alternate"`` gives each group a draw of the graph of its
    own, with the other group held; both see the batch with one pass of the backbone. ``"joint"``
    takes both gradients from one draw.

    Args:
        criterion: Loss of logits :math:`(S \cdot N, K)` and labels. (default: cross-entropy)
        pretrain_epochs (int): Epochs before the graph joins the samples. (default: :obj:`0`)
        descent (str): ``"alternate"`` or ``"joint"``. (default: :obj:`"alternate"`)
    """

    summary = "the paper's method, a random graph joins similar images of each mini-batch"
    color = "#0072B2"
    options: ClassVar[frozenset[str]] = POISSON_OPTIONS | {"descent"}

    def __init__(
        self,
        criterion: Criterion = F.cross_entropy,
        pretrain_epochs: int = 0,
        descent: "Descent" = "alternate",
    ) -> None:
        super().__init__(criterion, pretrain_epochs)
        self.descent = descent

    @classmethod
    def from_options(cls, options: "TrainOptions", criterion: Criterion) -> "AGFNMethod":
        return cls(criterion, options.pretrain_epochs, options.descent)

    @classmethod
    def build_edges(cls, config: "ModelConfig") -> SimilarityEdges:
        return PoissonEdges(config.alpha, config.beta, config.samples)

    def training_step(self, batch: TrainingBatch) -> StepOutput:
        use_graph = self.uses_graph(batch.epoch)
        x = self.model.features(batch.images)
        graph_loss = None
        if use_graph and self.descent == "alternate":
            graph_loss = self.loss_of_features(x.detach(), batch, use_graph)[0]
        loss, logits, targets = self.loss_of_features(x, batch, use_graph)
        if use_graph and self.descent == "joint":
            graph_loss = loss
        return StepOutput(loss, logits, targets, graph_loss)
