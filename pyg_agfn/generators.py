"""Independent random number generators from one seed."""

from typing import Literal

import numpy as np
import torch

Purpose = Literal[
    "order",
    "augmentation",
    "mirrored view",
    "workers",
    "bank",
    "pictures",
    "validation",
    "instance noise",
]


def generator_for(purpose: Purpose, seed: int) -> torch.Generator:
    """A generator on the CPU whose draws are independent of those for other purposes.

    Two generators that start from the same number permute equally many items in the same way. The
    images whose labels :func:`~pyg_agfn.datasets.inject_label_noise` makes wrong would then also be
    the first images of an epoch.

    Source: NumPy's ``SeedSequence``, which derives a seed for each purpose.
    """
    spread = np.random.SeedSequence(seed % 2**64, spawn_key=tuple(purpose.encode()))
    return torch.Generator().manual_seed(int(spread.generate_state(1, np.uint64)[0]) >> 1)
