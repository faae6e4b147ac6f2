"""Center loss: features are drawn to their label's mean.

Source: Wen, Zhang, Li, Qiao, *A Discriminative Feature Learning Approach for Deep Face
Recognition*, ECCV 2016; weight of the authors' code (ydwen/caffe-face), rate of the paper.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from pyg_agfn.distributed import gather_rows
from pyg_agfn.methods.objective import Objective, full_precision
from pyg_agfn.nn import BaselineClassifier


class CenterLoss(Objective):
    r"""Adds :math:`\lambda \frac{1}{2N} \sum_i \| x_i - c_{y_i} \|_2^2` to the loss (Eq. 2, 5).

    The centers are no parameters of the optimizer. After each step they move to their class's mean
    in the batch,

    .. math::
        c_j \leftarrow c_j - \alpha \frac{\sum_i [y_i = j] (c_j - x_i)}{1 + \sum_i [y_i = j]}
        \quad \text{(Eq. 4)}

    Args:
        criterion: Loss of logits and labels beside it.
        weight: :math:`\lambda`. (default: :obj:`0.008`, the authors' code)
        rate: :math:`\alpha`. (default: :obj:`0.5`, Section 3.2)
    """

    def __init__(
        self,
        criterion: Callable[[Tensor, Tensor], Tensor],
        weight: float = 0.008,
        rate: float = 0.5,
    ) -> None:
        super().__init__(criterion)
        self.weight = weight
        self.rate = rate
        #: :math:`c`, (K, F); zero until the first batch moves them.
        self.centers = torch.empty(0)

    def begin(self, model: BaselineClassifier, num_images: int) -> None:
        self.centers = torch.zeros_like(model.classifier.weight, requires_grad=False)

    def __call__(
        self, model: BaselineClassifier, images: Tensor, labels: Tensor, index: Tensor, epoch: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        features = model.features(images)
        logits = full_precision(model.head(features))
        features = full_precision(features)
        apart = features - self.centers[labels]
        loss = self.criterion(logits, labels) + self.weight * apart.square().sum() / (
            2 * len(apart)
        )
        self.move_centers(gather_rows(features.detach()), gather_rows(labels))
        return loss, logits, labels

    def move_centers(self, features: Tensor, labels: Tensor) -> None:
        r"""Eq. 4, from features :math:`(N, F)` and labels :math:`(N)`."""
        count = torch.bincount(labels, minlength=len(self.centers)).unsqueeze(1)
        total = torch.zeros_like(self.centers).index_add_(0, labels, features)
        self.centers = self.centers - self.rate * (count * self.centers - total) / (1 + count)

    def state_dict(self) -> dict[str, Tensor]:
        return {"centers": self.centers}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        self.centers = state["centers"].to(self.centers.device)
