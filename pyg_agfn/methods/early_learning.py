"""Early-Learning Regularization (ELR): the network is held to what it said early on.

Source: Liu, Niles-Weed, Razavian, Fernandez-Granda, *Early-Learning Regularization Prevents
Memorization of Noisy Labels*, NeurIPS 2020, Eq. 6 and 9, and the authors' code (shengliu66/ELR,
``config_cifar10.json``), whose defaults these are. The authors train with a learning rate of 0.02,
momentum 0.9 and weight decay 0.001.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from pyg_agfn.distributed import gather_rows
from pyg_agfn.methods.method import Criterion, Method, StepOutput, TrainingBatch, full_precision
from pyg_agfn.nn import BaselineClassifier
from pyg_agfn.registry import register_method

#: Bounds of the probabilities, so that no logarithm is infinite (the authors' code).
CLAMP = 1e-4


@register_method("elr")
class EarlyLearning(Method):
    r"""Adds a regularizer that draws each answer to the running mean of the image's own answers.

    .. math::
        \ell(f(x), y) + \frac{\lambda}{N} \sum_i \log\big(1 - \langle p_i, t_i \rangle\big),
        \qquad t_i \leftarrow \beta \, t_i + (1 - \beta) \, p_i

    The gradient of a label that contradicts the target is cancelled out. Targets begin as zeros.
    Soft labels are learned by the loss beside it.

    Args:
        criterion: Loss of logits and labels beside it.
        weight: :math:`\lambda`. (default: :obj:`3.0`)
        momentum: :math:`\beta`. (default: :obj:`0.7`)
    """

    summary = "the network alone, held to the running mean of its own answers to each image"
    color = "#8800EE"
    linestyle = "--"
    learns_soft_labels = True

    def __init__(
        self, criterion: Criterion = F.cross_entropy, weight: float = 3.0, momentum: float = 0.7
    ) -> None:
        super().__init__(criterion)
        self.weight = weight
        self.momentum = momentum
        #: :math:`t`, (n, K).
        self.targets = torch.empty(0)

    def setup(self, model: BaselineClassifier, num_images: int) -> None:
        super().setup(model, num_images)
        weight = model.classifier.weight.detach()
        self.targets = weight.new_zeros(num_images, len(weight))

    def training_step(self, batch: TrainingBatch) -> StepOutput:
        logits = full_precision(self.model(batch.images))
        p = logits.softmax(1).clamp(CLAMP, 1 - CLAMP)
        index = batch.index.to(p.device)
        self.update_targets(gather_rows(p.detach()), gather_rows(index))
        agreement = (p * self.targets[index]).sum(1)
        loss = self.criterion(logits, batch.learned) + self.weight * (1 - agreement).log().mean()
        return StepOutput(loss, logits, batch.labels)

    def update_targets(self, p: Tensor, index: Tensor) -> None:
        r"""Moves the targets of these images to their answers :math:`(N, K)` (Eq. 9)."""
        p = p / p.sum(1, keepdim=True)
        self.targets[index] = self.momentum * self.targets[index] + (1 - self.momentum) * p

    def state_dict(self) -> dict[str, Tensor]:
        return {"targets": self.targets}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        targets = state["targets"]
        if not ((targets >= 0).all() and (targets.sum(1) <= 1.001).all()):
            raise ValueError("targets are no means of probabilities")
        self.targets.copy_(targets)
