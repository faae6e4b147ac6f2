"""Neighbor Consistency Regularization (NCR): similar images of a batch get similar answers.

Source: Iscen, Valmadre, Arnab, Schmid, *Learning with Neighbor Consistency for Noisy Labels*, CVPR
2022, Eq. 3 to 5, and the authors' code (google-research/scenic, ``projects/ncr``). The weight 0.3,
the temperature 2 and the ten epochs before the regularizer are those of its configuration for
mini-ImageNet with 40% noise, k = 10 is the paper's. The authors train with a learning rate of 0.1
that falls as a cosine, momentum 0.9 and weight decay 5e-4.
"""

import torch.nn.functional as F
from torch import Tensor

from pyg_agfn.distributed import gather_rows, own_rows
from pyg_agfn.methods.method import Criterion, Method, StepOutput, TrainingBatch, full_precision
from pyg_agfn.registry import register_method
from pyg_agfn.transforms.similarity_edges import unit_rows


@register_method("ncr")
class NeighborConsistency(Method):
    r"""Compares the answer to each image with the mean answer to its neighbours in the batch.

    .. math::
        (1 - \alpha) \, \ell(f(x), y) + \alpha \, \frac{T^2}{N} \sum_i
        \mathrm{KL}\Big( \sum_{j \in \mathrm{NN}_k(i)} \bar s_{ij} \, \sigma(z_j / T) \,\Big\|\,
        \sigma(z_i / T) \Big), \qquad
        \bar s_{ij} = \frac{s_{ij}}{\sum_{j'} s_{ij'}}

    with the features' cosines :math:`s`, negative ones as 0. An image without a neighbour of
    positive cosine has no such term. Gradients pass through all of it, as in the authors' code.
    Soft labels are learned by the loss beside it.

    Args:
        criterion: Loss of logits and labels beside it.
        weight: :math:`\alpha`. (default: :obj:`0.3`)
        num_neighbors: :math:`k`; all others of a smaller batch. (default: :obj:`10`)
        temperature: :math:`T`. (default: :obj:`2.0`)
        warmup_epochs: Epochs that have the loss :math:`\ell` alone. (default: :obj:`10`)
    """

    summary = "the network alone, which has to answer alike to similar images of a batch"
    color = "#AADD88"
    linestyle = "--"
    learns_soft_labels = True

    def __init__(
        self,
        criterion: Criterion = F.cross_entropy,
        weight: float = 0.3,
        num_neighbors: int = 10,
        temperature: float = 2.0,
        warmup_epochs: int = 10,
    ) -> None:
        super().__init__(criterion)
        self.weight = weight
        self.num_neighbors = num_neighbors
        self.temperature = temperature
        self.warmup_epochs = warmup_epochs

    def training_step(self, batch: TrainingBatch) -> StepOutput:
        features = self.model.features(batch.images)
        logits = full_precision(self.model.head(features))
        loss = self.criterion(logits, batch.learned)
        if batch.epoch > self.warmup_epochs:
            consistency = self.consistency_loss(full_precision(features), logits)
            loss = (1 - self.weight) * loss + self.weight * consistency
        return StepOutput(loss, logits, batch.labels)

    def consistency_loss(self, features: Tensor, logits: Tensor) -> Tensor:
        r"""The regularizer without its weight (Eq. 4), from :math:`(N, F)` and :math:`(N, K)`."""
        everyone = unit_rows(gather_rows(features))
        answers = (gather_rows(logits) / self.temperature).softmax(1)
        rows = own_rows(len(everyone))
        similarity = everyone[rows] @ everyone.t()
        similarity.diagonal(rows.start).fill_(-1)  # an image is no neighbour of its own
        k = min(self.num_neighbors, len(everyone) - 1)
        nearest = similarity.topk(k, dim=1)
        weights = nearest.values.clamp(min=0)
        total = weights.sum(1, keepdim=True)
        weights = weights / total.clamp(min=1e-12)
        target = (weights.unsqueeze(2) * answers[nearest.indices]).sum(1)
        log_p = (logits / self.temperature).log_softmax(1)
        divergence = (target * (target.clamp(min=1e-16).log() - log_p)).sum(1)
        return self.temperature**2 * divergence.mean()
