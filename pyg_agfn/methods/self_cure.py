"""Self-Cure Network (SCN): samples weigh what the network thinks of them, and may be relabelled.

Source: Wang, Peng, Yang, Lu, Qiao, *Suppressing Uncertainties for Large-Scale Facial Expression
Recognition*, CVPR 2020, and the authors' code (kaiwang960112/Self-Cure-Network, train.py), whose
defaults these are. Where the two differ the code is followed: it relabels any sample, the paper
only those of low weight; and its two losses are added, where the paper weighs them 0.5 each.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pyg_agfn.distributed import gather_rows
from pyg_agfn.methods.method import Criterion, Method, StepOutput, TrainingBatch, full_precision
from pyg_agfn.nn import BaselineClassifier
from pyg_agfn.registry import register_method


class SCNClassifier(BaselineClassifier):
    r"""Feature extractor, and a linear classifier whose logits a sample's own weight scales.

    :math:`\text{logits}_i = \alpha_i (W x_i + b)` with :math:`\alpha_i = \sigma(w_a^\top x_i)`
    (Eq. 1, 2). Arguments, shapes and errors are those of
    :class:`~pyg_agfn.nn.BaselineClassifier`.
    """

    def __init__(
        self,
        backbone: str | nn.Module,
        num_classes: int,
        in_channels: int = 3,
        num_features: int | None = None,
    ) -> None:
        super().__init__(backbone, num_classes, in_channels, num_features)
        self.attention = nn.Sequential(nn.Linear(self.num_features, 1), nn.Sigmoid())

    def head(self, x: Tensor) -> Tensor:
        logits: Tensor = self.attention(x) * self.classifier(x)
        return logits


@register_method("scn")
class SelfCure(Method):
    r"""Weighted loss, rank regularization of the weights, and relabelling.

    Args:
        criterion: Loss of logits and labels.
        high_share: Share of a batch in the group of high weight, :math:`\beta`.
            (default: :obj:`0.7`)
        rank_margin: Least distance of the two groups' mean weights, :math:`\delta_1`.
            (default: :obj:`0.15`)
        relabel_margin: A sample gets the predicted label when that is this much likelier than its
            own, :math:`\delta_2`. (default: :obj:`0.2`)
        relabel_epoch: First epoch that relabels, from 1. (default: :obj:`10`)
    """

    summary = "each image has a weight, and labels that look wrong are replaced"
    color = "#009E73"
    linestyle = "-."

    model_class = SCNClassifier
    model: SCNClassifier

    def __init__(
        self,
        criterion: Criterion = F.cross_entropy,
        high_share: float = 0.7,
        rank_margin: float = 0.15,
        relabel_margin: float = 0.2,
        relabel_epoch: int = 10,
    ) -> None:
        super().__init__(criterion)
        self.high_share = high_share
        self.rank_margin = rank_margin
        self.relabel_margin = relabel_margin
        self.relabel_epoch = relabel_epoch
        #: New labels by training image; -1 where it has the one it came with.
        self.relabelled = torch.empty(0, dtype=torch.long)
        self.num_classes = 0

    def setup(self, model: BaselineClassifier, num_images: int) -> None:
        super().setup(model, num_images)
        self.relabelled = torch.full((num_images,), -1)
        self.num_classes = model.classifier.out_features

    def training_step(self, batch: TrainingBatch) -> StepOutput:
        model, index = self.model, batch.index
        labels = self.current_labels(batch.labels, index)
        features = model.features(batch.images)
        weights = full_precision(model.attention(features))
        logits = weights * full_precision(model.classifier(features))
        loss = self.criterion(logits, labels) + self.rank_loss(gather_rows(weights.squeeze(1)))
        if batch.epoch >= self.relabel_epoch:
            # In all processes: next epoch the image may be another one's.
            seen = (logits.detach(), labels, index.to(labels.device))
            self.relabel(*map(gather_rows, seen))
        return StepOutput(loss, logits, labels)

    def rank_loss(self, weights: Tensor) -> Tensor:
        r""":math:`\max(0, \delta_1 - (\bar\alpha_H - \bar\alpha_L))` of weights (N) (Eq. 3, 4)."""
        ranked = weights.sort(descending=True).values
        high = int(self.high_share * len(ranked))
        if not 0 < high < len(ranked):
            return weights.new_zeros(())  # one group is empty: there is nothing to rank
        return (self.rank_margin - (ranked[:high].mean() - ranked[high:].mean())).clamp(min=0)

    def relabel(self, logits: Tensor, labels: Tensor, index: Tensor) -> None:
        """Keeps the predicted label where it beats the given one by the margin (Eq. 5)."""
        likeliest, predicted = logits.softmax(1).max(1)
        given = logits.softmax(1).gather(1, labels.unsqueeze(1)).squeeze(1)
        chosen = likeliest - given > self.relabel_margin
        self.relabelled[index[chosen].cpu()] = predicted[chosen].cpu()

    def current_labels(self, labels: Tensor, index: Tensor) -> Tensor:
        """The labels, or the new ones of images that were relabelled."""
        new = self.relabelled[index.cpu()].to(labels.device)
        return torch.where(new < 0, labels, new)

    def state_dict(self) -> dict[str, Tensor]:
        return {"relabelled": self.relabelled}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        relabelled = state["relabelled"].cpu()
        if not ((relabelled >= -1) & (relabelled < self.num_classes)).all():
            raise ValueError("relabelled has other classes")
        self.relabelled = relabelled
