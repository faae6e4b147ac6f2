"""Sparse Over-Parameterization (SOP): the noise of each image's label is learned with the network.

Source: Liu, Zhu, Qu, You, *Robust Training under Label Noise by Over-parameterization*, ICML 2022,
Section 2, and the authors' code (shengliu66/SOP, ``model/loss.py``). This is SOP: SOP+, with its
consistency of two views and its balance of the classes, is not built. The learning rates are those
of Table A.1 for CIFAR-10 with symmetric noise, the first values those of the code. The authors
train with a learning rate of 0.02, momentum 0.9 and batches of 128.
"""

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from pyg_agfn.distributed import gather_rows, world_size
from pyg_agfn.methods.method import Criterion, Method, StepOutput, TrainingBatch, full_precision
from pyg_agfn.nn import BaselineClassifier
from pyg_agfn.registry import register_method

if TYPE_CHECKING:
    from pyg_agfn.training.options import TrainOptions

#: Least probability, so that no logarithm is infinite (the authors' code).
EPSILON = 1e-4


@register_method("sop")
class SparseNoise(Method):
    r"""Adds to each answer a sparse noise of the image's own, which explains a wrong label.

    With the one-hot label :math:`y_i`, the one-hot prediction :math:`h_i`, and
    :math:`s_i = u_i^2 \, y_i - v_i^2 \odot (1 - y_i)`,

    .. math::
        \frac{1}{N} \sum_i -\log \frac{[p_i + s_i]_{y_i}}{\| p_i + s_i \|_1}
        + \| h_i + s_i - y_i \|_2^2

    The network and :math:`u` descend the first term, :math:`u` and :math:`v` the second one.
    Both are updated by plain gradient descent, each with its own constant rate, as soon as the step
    has seen them. Squares of parameters that begin next to 0 stay there where a label needs no
    noise.

    Args:
        lr_u: Learning rate of :math:`u`. (default: :obj:`10.0`)
        lr_v: Learning rate of :math:`v`. (default: :obj:`10.0`)
        std: Standard deviation of their first values. (default: :obj:`1e-8`)
    """

    summary = "the network, and beside it the noise of each image's label, which is sparse"
    color = "#EE0055"
    linestyle = "--"
    own_loss = True

    def __init__(
        self,
        criterion: Criterion = F.cross_entropy,
        lr_u: float = 10.0,
        lr_v: float = 10.0,
        std: float = 1e-8,
    ) -> None:
        super().__init__(criterion)
        self.lr_u = lr_u
        self.lr_v = lr_v
        self.std = std
        #: Of the noise at the label, (n, 1), and at the other classes, (n, K).
        self.u = self.v = torch.empty(0)

    @classmethod
    def from_options(cls, options: "TrainOptions", criterion: Criterion) -> "SparseNoise":
        return cls()

    def setup(self, model: BaselineClassifier, num_images: int) -> None:
        super().setup(model, num_images)
        weight = model.classifier.weight
        self.u = (self.std * torch.randn(num_images, 1)).to(weight)
        self.v = (self.std * torch.randn(num_images, len(weight))).to(weight)

    def training_step(self, batch: TrainingBatch) -> StepOutput:
        logits = full_precision(self.model(batch.images))
        index = batch.index.to(logits.device)
        u, v = (x[index].requires_grad_() for x in (self.u, self.v))
        loss = noisy_loss(logits, batch.labels, u, v)
        gradients = torch.autograd.grad(loss, (u, v), retain_graph=True)
        # Each process has the mean over its own images of the batch.
        new_u = u.detach() - self.lr_u * gradients[0] / world_size()
        new_v = v.detach() - self.lr_v * gradients[1] / world_size()
        index = gather_rows(index)
        self.u[index], self.v[index] = gather_rows(new_u), gather_rows(new_v)
        return StepOutput(loss, logits, batch.labels)

    def state_dict(self) -> dict[str, Tensor]:
        return {"u": self.u, "v": self.v}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        if not all(torch.isfinite(x).all() for x in state.values()):
            raise ValueError("the noise is not finite")
        self.u.copy_(state["u"])
        self.v.copy_(state["v"])


def noisy_loss(logits: Tensor, labels: Tensor, u: Tensor, v: Tensor) -> Tensor:
    r"""Cross-entropy of the answers with their noise, and the squared error of the predictions.

    Shapes:
        - **input:** :math:`(N, K)`, labels :math:`(N)`, :math:`u` :math:`(N, 1)`, :math:`v`
          :math:`(N, K)`
        - **output:** scalar
    """
    given = F.one_hot(labels, logits.size(1)).to(logits.dtype)
    predicted = F.one_hot(logits.detach().argmax(1), logits.size(1)).to(logits.dtype)
    at_label = (u.square() * given).clamp(0, 1)
    elsewhere = (v.square() * (1 - given)).clamp(0, 1)
    p = (logits.softmax(1) + at_label - elsewhere.detach()).clamp(min=EPSILON)
    p = F.normalize(p, p=1).clamp(EPSILON, 1)
    error = (predicted + at_label - elsewhere - given).square().sum()
    return -(given * p.log()).sum(1).mean() + error / len(labels)
