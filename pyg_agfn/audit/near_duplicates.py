"""Images that are nearly equal and have different labels: at least one of the two is wrong."""

from collections.abc import Iterator

import torch
from torch import Tensor

from pyg_agfn.audit.check_input import check_features
from pyg_agfn.evaluation.label_issues import check_labels
from pyg_agfn.transforms.similarity_edges import unit_rows

#: Least cosine of two images that are nearly equal.
THRESHOLD = 0.99
#: Most pairs that are listed, the most alike first.
MOST_PAIRS = 100
#: Directions in which all pairs are compared before a few of them are compared in full.
DIRECTIONS = 16
#: Images that are compared with how many at once.
BLOCK_ROWS, BLOCK_COLUMNS = 256, 2048


@torch.no_grad()
def find_near_duplicates(
    features: Tensor, labels: Tensor, threshold: float = THRESHOLD, most: int = MOST_PAIRS
) -> tuple[Tensor, Tensor]:
    r"""Pairs of images of different labels whose cosine is above a threshold, the highest first.

    All pairs are compared in the 16 directions in which the features vary most, a block at a time.
    A projection never lengthens a distance, so a pair that is too far apart there is too far apart,

    .. math::
        \|V^\top (u_i - u_j)\|^2 > 2 (1 - t) \;\Rightarrow\; u_i \cdot u_j < t ,

    and only what is left is compared in full. Once ``most`` pairs are known, the threshold rises to
    the lowest of them.

    Args:
        features (Tensor): Of each image; for pictures that look alike, small ones of them
            (:func:`appearance`).
        labels (Tensor): Labels as given.
        threshold (float): Least cosine :math:`t`. (default: :obj:`0.99`)
        most (int): Most pairs. (default: :obj:`100`)

    Shapes:
        - **input:** :math:`(N, F)`, :math:`(N)`
        - **output:** pairs :math:`(P, 2)`, their cosines :math:`(P)`

    Raises:
        InputError: Features or labels that are none.
    """
    check_features(features)
    labels = labels.to(features.device).long()
    if len(labels):
        check_labels(labels, len(features), max(2, int(labels.max()) + 1))
    by_label = labels.argsort(stable=True)
    unit, labels = unit_rows(features.detach())[by_label].float(), labels[by_label]
    pairs = torch.zeros(0, 2, dtype=torch.long, device=unit.device)
    cosines = torch.zeros(0, device=unit.device)
    for found in _candidates(unit, labels, threshold):
        cosine = (unit[found[:, 0]] * unit[found[:, 1]]).sum(1)
        least = threshold if len(cosines) < most else max(threshold, float(cosines[-1]))
        kept = cosine >= least
        cosines, pairs = torch.cat([cosines, cosine[kept]]), torch.cat([pairs, found[kept]])
        best = cosines.argsort(descending=True, stable=True)[:most]
        cosines, pairs = cosines[best], pairs[best]
    return by_label[pairs].sort(1).values, cosines


def _candidates(unit: Tensor, labels: Tensor, threshold: float) -> Iterator[Tensor]:
    """Pairs of different labels that are not too far apart, of labels that are sorted."""
    if len(unit) < 2:
        return
    seen = unit[:: max(1, len(unit) // 4096)]  # enough to tell in which directions they vary
    centered = seen - seen.mean(0)
    directions = torch.linalg.eigh(centered.t() @ centered).eigenvectors[:, -DIRECTIONS:]
    flat = (unit - seen.mean(0)) @ directions
    half, one = flat.square().sum(1, keepdim=True) / 2, torch.ones_like(flat[:, :1])
    # Their product is half the squared distance.
    left, right = torch.cat([-flat, half, one], dim=1), torch.cat([flat, one, half], dim=1)
    limit = 1 - threshold + 1e-5  # rounding errors must not lose a pair
    ends = labels.bincount().cumsum(0)[labels]  # where the images of other labels begin
    for rows in torch.arange(len(unit), device=unit.device).split(BLOCK_ROWS):
        others = torch.arange(int(ends[rows[0]]), len(unit), device=unit.device)
        for columns in others.split(BLOCK_COLUMNS) if len(others) else ():
            distance = left[rows] @ right[columns].t()
            near = (distance.amin(1) <= limit).nonzero().squeeze(1)  # mostly none
            if len(near):
                row, column = (distance[near] <= limit).nonzero(as_tuple=True)
                row, column = rows[near[row]], columns[column]
                other = labels[row] < labels[column]
                yield torch.stack([row[other], column[other]], dim=1)


def appearance(images: Tensor) -> Tensor:
    r"""What images look like: 16x16 pixels of each, less their mean.

    Features of a trained model are of little use for near duplicates, as it draws all images of a
    class together.

    Args:
        images (Tensor): ``uint8``.

    Shapes:
        - **input:** :math:`(N, C, H, W)`
        - **output:** :math:`(N, 256 C)`
    """
    small = torch.nn.functional.adaptive_avg_pool2d(images.float(), (16, 16)).flatten(1)
    return small - small.mean(1, keepdim=True)
