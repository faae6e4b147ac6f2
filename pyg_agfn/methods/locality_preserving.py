"""Deep Locality-Preserving CNN (DLP-CNN): features are drawn to near ones of their label.

Source: Li, Deng, Du, *Reliable Crowdsourcing and Deep Locality-Preserving Learning for Expression
Recognition in the Wild*, CVPR 2017, Section 4, whose k and lambda these are.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from pyg_agfn.distributed import gather_rows, own_rows
from pyg_agfn.methods.method import Criterion, Method, StepOutput, TrainingBatch, full_precision
from pyg_agfn.registry import register_method


@register_method("dlp")
class LocalityPreserving(Method):
    r"""Adds the locality-preserving loss to the loss of the labels.

    .. math::
        \ell(f(x), y) + \lambda \frac{1}{2N} \sum_i
        \Big\| x_i - \frac{1}{k} \sum_{x \in N_k(x_i)} x \Big\|_2^2

    with the k nearest features :math:`N_k(x_i)` of the same label in the batch, or all of them
    where there are fewer. An image that is the only one of its label adds nothing. As in the paper
    the gradient is :math:`x_i` less the mean of its neighbours, which are held. The paper sums
    over the batch in both losses; here both are means.

    Soft labels are learned by the loss beside it; neighbours are those of the label.

    Args:
        criterion: Loss of logits and labels beside it.
        weight: :math:`\lambda`. (default: :obj:`0.003`)
        num_neighbors: :math:`k`. (default: :obj:`20`)
    """

    summary = "the network alone, its features drawn to the nearest ones of their class"
    color = "#00CC00"
    linestyle = "--"
    learns_soft_labels = True

    def __init__(
        self,
        criterion: Criterion = F.cross_entropy,
        weight: float = 0.003,
        num_neighbors: int = 20,
    ) -> None:
        super().__init__(criterion)
        self.weight = weight
        self.num_neighbors = num_neighbors

    def training_step(self, batch: TrainingBatch) -> StepOutput:
        features = self.model.features(batch.images)
        logits = full_precision(self.model.head(features))
        loss = self.criterion(logits, batch.learned)
        apart = self.locality_loss(full_precision(features), batch.labels)
        return StepOutput(loss + self.weight * apart, logits, batch.labels)

    def locality_loss(self, features: Tensor, labels: Tensor) -> Tensor:
        r"""The mean of half the squared distances, from features :math:`(N, F)`, labels (N)."""
        every, every_label = gather_rows(features.detach()), gather_rows(labels)
        own = torch.arange(len(every), device=features.device)[own_rows(len(every))]
        neighbor = labels.unsqueeze(1) == every_label
        neighbor[torch.arange(len(own)), own] = False
        distance = torch.cdist(features.detach(), every).masked_fill(~neighbor, torch.inf)
        near, place = distance.topk(min(self.num_neighbors, len(every)), dim=1, largest=False)
        found = near.isfinite().to(features.dtype)
        count = found.sum(1, keepdim=True)
        mean = (found.unsqueeze(2) * every[place]).sum(1) / count.clamp(min=1)
        return ((features - mean) * (count > 0)).square().sum() / (2 * len(features))
