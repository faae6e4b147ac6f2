"""What an image's neighbours say of its label, for any features.

Source: the posterior of ``agfn-nlc`` (:class:`~pyg_agfn.nn.CrossBatchMemory`), with whole training
sets in the place of a memory; without a graph the k nearest vote alike, as in deep k-NN (Bahri,
Jiang, Gupta, *Deep k-NN for noisy labels*, ICML 2020).
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from pyg_agfn.audit.check_input import check_features
from pyg_agfn.errors import InputError
from pyg_agfn.evaluation.label_issues import check_labels
from pyg_agfn.nn.cross_batch_memory import PRIOR
from pyg_agfn.transforms import SimilarityEdges
from pyg_agfn.transforms.similarity_edges import unit_rows

#: Neighbours that vote where no graph weighs them.
NUM_NEIGHBORS = 10
#: Nearest images that are kept of each, among which trusted ones are looked for.
NUM_NEAREST = 32
#: Most images among which neighbours are looked for; of more, so many are drawn.
MAX_REFERENCES = 8192
#: Pairs that are looked at at once: 16 MiB of similarities.
BLOCK_PAIRS = 1 << 22


class Neighbors(NamedTuple):
    """What is known of the neighbours of each image.

    Attributes:
        posterior: Their label distribution, the image itself left out, :math:`(N, K)`.
        nearest: The images that are nearest by cosine, :math:`(N, 32)`, fewer of few images.
    """

    posterior: Tensor
    nearest: Tensor


@torch.no_grad()
def find_neighbors(
    features: Tensor,
    labels: Tensor,
    num_classes: int,
    k: int = NUM_NEIGHBORS,
    edges: SimilarityEdges | None = None,
    max_references: int = MAX_REFERENCES,
) -> Neighbors:
    r"""The label distribution of each image's neighbours, and which images are nearest.

    .. math::
        q_i = \frac{\sum_{m \neq i} w_{im} \, y_m + \epsilon / K}{\sum_{m \neq i} w_{im} + \epsilon}

    With a graph, :math:`w_{im}` is the expected edge of Eq. 3. Without, it is 1 for the :math:`k`
    images of highest cosine and 0 for the others. Images are compared in blocks, so that memory
    grows with :math:`N` alone; of more than ``max_references`` images the neighbours are looked for
    among as many, which are drawn by a fixed seed.

    Args:
        features (Tensor): Of each image, by any model.
        labels (Tensor): Labels as given, 0 to K - 1.
        num_classes (int): :math:`K`.
        k (int): Neighbours that vote. (default: :obj:`10`)
        edges (SimilarityEdges, optional): Graph generator whose expected edges are the weights.
        max_references (int): Most images that are looked at. (default: :obj:`8192`)

    Shapes:
        - **input:** :math:`(N, F)`, :math:`(N)`
        - **output:** :class:`Neighbors`

    Raises:
        InputError: Features or labels that are none, fewer than two images, or a ``k`` below 1.
    """
    check_features(features)
    check_labels(labels, len(features), num_classes)
    if isinstance(k, bool) or not isinstance(k, int) or k < 1:
        raise InputError(f"k must be a whole number from 1 on, got {k!r}")
    if num_classes < 2:
        raise InputError("all labels are of one class: there is no other to compare with")
    if len(features) < 2:
        raise InputError("one image has no neighbours: give features of two or more")
    unit = unit_rows(features.detach())
    labels = labels.to(unit.device).long()
    chosen = torch.arange(len(unit))
    if len(unit) > max_references:
        generator = torch.Generator().manual_seed(0)
        chosen = torch.randperm(len(unit), generator=generator)[:max_references].sort().values
    chosen = chosen.to(unit.device)
    given = F.one_hot(labels[chosen], num_classes).to(unit.dtype)
    posteriors, nearest = [], []
    for similarity, own in _similarities(unit, chosen):
        found = similarity.topk(min(max(k, NUM_NEAREST), similarity.size(1) - 1)).indices
        if edges is None:
            votes = given[found[:, :k]].sum(1)
        else:
            weight = edges.expected_weight(similarity)
            weight[own] = 0
            votes = weight @ given
        total = votes.sum(1, keepdim=True)
        posteriors.append((votes + PRIOR / num_classes) / (total + PRIOR))
        nearest.append(chosen[found[:, :NUM_NEAREST]])
    return Neighbors(torch.cat(posteriors), torch.cat(nearest))


def _similarities(unit: Tensor, chosen: Tensor) -> Iterator[tuple[Tensor, tuple[Tensor, Tensor]]]:
    """Cosines of all images to the chosen ones in blocks, and where an image meets itself."""
    references = unit[chosen].t()
    place = torch.full((len(unit),), -1, device=unit.device)
    place[chosen] = torch.arange(len(chosen), device=unit.device)
    for rows in torch.arange(len(unit), device=unit.device).split(
        max(1, BLOCK_PAIRS // len(chosen))
    ):
        similarity = unit[rows] @ references
        row = (place[rows] >= 0).nonzero().squeeze(1)
        own = (row, place[rows][row])
        similarity[own] = -2.0  # below every cosine
        yield similarity, own
