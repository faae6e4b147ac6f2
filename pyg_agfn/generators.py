"""Random number generators of one seed that have nothing in common."""

from typing import Literal

import numpy as np
import torch

Purpose = Literal["order", "augmentation", "mirrored view", "workers", "bank", "pictures"]


def generator_for(purpose: Purpose, seed: int) -> torch.Generator:
    """A generator on the CPU whose draws are independent of those for another purpose.

    Two generators that start from the same number permute as many items in the same way: what one
    of them puts first would be first for the other too, such as the images whose labels
    :func:`~pyg_agfn.datasets.inject_label_noise` makes wrong.

    Source: NumPy's ``SeedSequence``, by which seeds are spread.
    """
    spread = np.random.SeedSequence(seed % 2**64, spawn_key=tuple(purpose.encode()))
    return torch.Generator().manual_seed(int(spread.generate_state(1, np.uint64)[0]) >> 1)
