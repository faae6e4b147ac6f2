"""The labels of each training image's nearest neighbours, by which some methods select labels."""

import torch
import torch.nn.functional as F
from torch import Tensor

#: Pairs that are looked at at once: 16 MiB of distances.
BLOCK_PAIRS = 1 << 22


@torch.no_grad()
def neighbor_votes(
    x: Tensor, labels: Tensor, num_classes: int, k: int, leave_out: bool = False
) -> Tensor:
    r"""How many of the k nearest images, by Euclidean distance, have each label.

    Unit vectors are nearest where their cosine is highest.

    Args:
        x (Tensor): Of each image.
        labels (Tensor): Labels, 0 to K - 1.
        num_classes (int): :math:`K`.
        k (int): Neighbours; all of fewer images.
        leave_out (bool): An image is no neighbour of its own. (default: :obj:`False`)

    Shapes:
        - **input:** :math:`(n, F)`, :math:`(n)`
        - **output:** :math:`(n, K)`
    """
    n = len(x)
    given = F.one_hot(labels, num_classes).to(x.dtype)
    half = x.square().sum(1) / 2
    votes = []
    for rows in torch.arange(n, device=x.device).split(max(1, BLOCK_PAIRS // n)):
        closeness = x[rows] @ x.t() - half  # |x|^2 / 2 - |x - y|^2 / 2, and |x| is the row's
        if leave_out:
            closeness[torch.arange(len(rows), device=x.device), rows] = -torch.inf
        nearest = closeness.topk(min(k, n - leave_out), dim=1).indices
        votes.append(given[nearest].sum(1))
    return torch.cat(votes)


def fitting_neighbors(k: int, num_images: int, num_classes: int) -> int:
    """As many neighbours as published, and at most half of a class's images.

    Published numbers are for thousands of images a class. An image of a class with fewer images
    than k is outvoted by others, however good the features.
    """
    return max(1, min(k, num_images // (2 * num_classes)))
