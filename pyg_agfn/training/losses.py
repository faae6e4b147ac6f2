"""The losses of training: the squared error of Eq. 7, and cross-entropy."""

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor

Loss = Callable[[Tensor, Tensor], Tensor]


def squared_error(logits: Tensor, labels: Tensor) -> Tensor:
    r"""Mean over the batch of :math:`\| f(\hat{X}) - y \|_2^2` (Eq. 7), the Brier score.

    :math:`f(\hat{X})` are the softmax probabilities and :math:`y` the one-hot label. The paper
    does not say of which outputs it takes the error. On raw outputs it is unbounded, and diverges.

    Shapes:
        - **input:** :math:`(N, K)` logits, :math:`(N)` labels or :math:`(N, K)` distributions
        - **output:** scalar, 0 to 2
    """
    target = labels if labels.is_floating_point() else F.one_hot(labels, logits.size(-1))
    target = target.to(logits.dtype)
    return (logits.softmax(-1) - target).square().sum(-1).mean()


#: Losses by their name in ``--loss``. Each takes logits (N, K), and labels (N) or (N, K).
LOSSES: dict[str, Loss] = {"cross-entropy": F.cross_entropy, "squared-error": squared_error}
