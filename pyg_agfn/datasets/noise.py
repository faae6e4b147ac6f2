"""Label noise, injected at random."""

import torch
from torch import Tensor

from pyg_agfn.errors import InputError


def inject_label_noise(labels: Tensor, ratio: float, num_classes: int, seed: int) -> Tensor:
    r"""Makes exactly ``round(ratio * n)`` labels wrong, each a uniformly drawn *other* class.

    Args:
        labels (Tensor): True labels, 0 to ``num_classes - 1``. They are left as they are, so that
            ``labels != noisy`` marks the wrong ones.
        ratio (float): Share of labels to make wrong, 0 to 1.
        num_classes (int): Number of classes, at least 2.
        seed (int): Of a generator of its own: the global one is neither read nor moved.

    Shapes:
        - **input, output:** :math:`(n)`, ``int64``

    Raises:
        InputError: A ratio, number of classes or label out of its range.
    """
    labels = torch.as_tensor(labels, dtype=torch.long)
    if not 0 <= ratio <= 1:
        raise InputError(f"noise ratio must be between 0 and 1, got {ratio}")
    if num_classes < 2:
        raise InputError(f"label noise needs at least 2 classes, got {num_classes}")
    if labels.numel() and not 0 <= int(labels.min()) <= int(labels.max()) < num_classes:
        raise InputError(
            f"labels must be 0 to {num_classes - 1}, got {int(labels.min())} to {int(labels.max())}"
        )
    generator = torch.Generator().manual_seed(seed)
    count = round(ratio * labels.numel())
    chosen = torch.randperm(labels.numel(), generator=generator)[:count]
    # A step of 1 to K - 1 around the circle of classes never comes back to the start.
    step = torch.randint(1, num_classes, (count,), generator=generator)
    noisy = labels.clone()
    noisy[chosen] = (labels[chosen] + step) % num_classes
    return noisy
