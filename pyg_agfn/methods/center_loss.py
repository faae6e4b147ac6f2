"""Center loss: features are drawn to their label's mean.

Source: Wen, Zhang, Li, Qiao, *A Discriminative Feature Learning Approach for Deep Face
Recognition*, ECCV 2016; weight of the authors' code (ydwen/caffe-face), rate of the paper.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from pyg_agfn.distributed import gather_rows
from pyg_agfn.methods.method import Criterion, Method, StepOutput, TrainingBatch, full_precision
from pyg_agfn.nn import BaselineClassifier
from pyg_agfn.registry import register_method


@register_method("center-loss")
class CenterLoss(Method):
    r"""Adds :math:`\lambda \frac{1}{2N} \sum_i \| x_i - c_{y_i} \|_2^2` to the loss (Eq. 2, 5).

    The centers are no parameters of the optimizer. After each step they move to their class's mean
    in the batch,

    .. math::
        c_j \leftarrow c_j - \alpha \frac{\sum_i [y_i = j] (c_j - x_i)}{1 + \sum_i [y_i = j]}
        \quad \text{(Eq. 4)}

    Soft labels are learned by the loss beside it; the center is that of the label.

    Args:
        criterion: Loss of logits and labels beside it.
        weight: :math:`\lambda`. (default: :obj:`0.008`, the authors' code)
        rate: :math:`\alpha`. (default: :obj:`0.5`, Section 3.2)
    """

    summary = "the network alone, its features drawn to the mean of their class"
    color = "#CC79A7"
    linestyle = "--"
    learns_soft_labels = True

    def __init__(
        self,
        criterion: Criterion = F.cross_entropy,
        weight: float = 0.008,
        rate: float = 0.5,
    ) -> None:
        super().__init__(criterion)
        self.weight = weight
        self.rate = rate
        #: :math:`c`, (K, F); zero until the first batch moves them.
        self.centers = torch.empty(0)

    def setup(self, model: BaselineClassifier, num_images: int) -> None:
        super().setup(model, num_images)
        self.centers = torch.zeros_like(model.classifier.weight, requires_grad=False)

    def training_step(self, batch: TrainingBatch) -> StepOutput:
        labels = batch.labels
        features = self.model.features(batch.images)
        logits = full_precision(self.model.head(features))
        features = full_precision(features)
        apart = features - self.centers[labels]
        loss = self.criterion(logits, batch.learned) + self.weight * apart.square().sum() / (
            2 * len(apart)
        )
        self.move_centers(gather_rows(features.detach()), gather_rows(labels))
        return StepOutput(loss, logits, labels)

    def move_centers(self, features: Tensor, labels: Tensor) -> None:
        r"""Eq. 4, from features :math:`(N, F)` and labels :math:`(N)`."""
        # Not bincount, which makes a GPU wait for the largest label.
        count = labels.new_zeros(len(self.centers))
        count = count.index_add_(0, labels, torch.ones_like(labels)).unsqueeze(1)
        total = torch.zeros_like(self.centers).index_add_(0, labels, features)
        self.centers = self.centers - self.rate * (count * self.centers - total) / (1 + count)

    def state_dict(self) -> dict[str, Tensor]:
        return {"centers": self.centers}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        self.centers = state["centers"].to(self.centers.device)
