"""BatchFormer: a transformer over the images of a batch, in training alone.

Source: Hou, Yu, Tao, *BatchFormer: Learning to Explore Sample Relationships for Robust
Representation Learning*, CVPR 2022, Section 3, and the authors' code (zhihou7/BatchFormer,
README.md: ``TransformerEncoderLayer(C, 4, C, 0.5)``), whose defaults these are.
"""

import torch
from torch import Tensor, nn

from pyg_agfn.errors import InputError
from pyg_agfn.methods.method import Method, StepOutput, TrainingBatch, full_precision
from pyg_agfn.nn import BaselineClassifier
from pyg_agfn.registry import register_method


class BatchFormerClassifier(BaselineClassifier):
    r"""Feature extractor and linear classifier, with a transformer layer that joins a batch.

    :meth:`join` is for training. What classifies is the network without it, so that an answer
    does not depend on the batch.

    Args:
        backbone (str or torch.nn.Module): As of :class:`~pyg_agfn.nn.BaselineClassifier`.
        num_classes (int): Number of classes.
        in_channels (int): Channels of the images. (default: :obj:`3`)
        num_features (int, optional): F, for a module without attribute ``num_features``.
        heads (int): Heads of the attention. (default: :obj:`4`)
        dropout (float): In the layer. (default: :obj:`0.5`)

    Shapes:
        - **input:** images :math:`(N, C, H, W)`
        - **output:** logits :math:`(N, K)`

    Raises:
        InputError: F is no multiple of the heads.
    """

    def __init__(
        self,
        backbone: str | nn.Module,
        num_classes: int,
        in_channels: int = 3,
        num_features: int | None = None,
        heads: int = 4,
        dropout: float = 0.5,
    ) -> None:
        super().__init__(backbone, num_classes, in_channels, num_features)
        size = self.num_features
        if size % heads:
            raise InputError(
                f"batchformer: the backbone has {size} features, which its {heads} heads cannot "
                f"share equally; choose a backbone with a multiple of {heads}"
            )
        self.encoder = nn.TransformerEncoderLayer(
            size, heads, dim_feedforward=size, dropout=dropout
        )

    def join(self, x: Tensor) -> Tensor:
        r"""Features in which each image of the batch has seen the others, :math:`(N, F)`."""
        joined: Tensor = self.encoder(x.unsqueeze(1)).squeeze(1)  # the batch is the sequence
        return joined


@register_method("batchformer")
class BatchFormer(Method):
    r"""Classifies each image's features twice, before and after a transformer over the batch.

    .. math::
        \tfrac{1}{2} \ell(W X, y) + \tfrac{1}{2} \ell(W \, \mathrm{encoder}(X), y)

    The classifier is shared, so that what the images learn of each other reaches the features that
    are classified without the transformer. Each process joins its own part of the batch, as the
    authors' code does.

    Args:
        criterion: Loss of logits and labels.
    """

    summary = "a transformer joins the images of a mini-batch, in training alone"
    color = "#FF0055"
    learns_soft_labels = True

    model_class = BatchFormerClassifier
    model: BatchFormerClassifier

    def training_step(self, batch: TrainingBatch) -> StepOutput:
        model = self.model
        x = model.features(batch.images)
        logits = full_precision(model.classifier(torch.cat([x, model.join(x)])))
        loss = self.criterion(logits, torch.cat([batch.learned] * 2))
        return StepOutput(loss, logits[: len(x)], batch.labels)
