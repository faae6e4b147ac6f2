"""A memory of past batches, so that an image's neighbours are found among thousands.

Source: Wang, Zhang, Huang, Scott, *Cross-Batch Memory for Embedding Learning*, CVPR 2020. There
its features are compared for a loss; here Eq. 2-4 of AGFN make them the neighbours of an image.
"""

import torch
from torch import Tensor, nn

from pyg_agfn.transforms import SimilarityEdges
from pyg_agfn.transforms.similarity_edges import unit_rows

#: Edges to nobody in particular that every image has: without a neighbour no class is likelier.
PRIOR = 1e-3

#: Least neighbours whose votes tell a share of wrong labels: by 30 it is known to 0.07.
MIN_VOTES = 30
#: Of the opinions' largest probabilities, taken for that of an image whose class is beyond doubt
#: (Patrini et al.); the largest of all would be the luckiest.
ANCHOR_QUANTILE = 0.97


class CrossBatchMemory(nn.Module):
    r"""The features and label distributions of the last samples, as a ring.

    :meth:`opinion` is what the graph says of an image's label: the mean of its neighbours'
    distributions :math:`t_m`, by the expected edges of Eq. 3,

    .. math::
        q_i = \frac{\sum_m P_{im} \, t_m + \epsilon / K}{\sum_m P_{im} + \epsilon},
        \qquad P_{im} = 1 - e^{-\max(\alpha \, \mathrm{cossim}(z_i, z_m) + \beta, 0)}

    without the image itself, under whatever view it is remembered: what it says of an image's
    label cannot have been learned from that label by heart.

    Args:
        size (int): Samples :math:`M` that are kept.
        num_features (int): :math:`F`.
        num_classes (int): :math:`K`.

    Raises:
        ValueError: A size below 1.
    """

    features: Tensor
    targets: Tensor
    index: Tensor
    written: Tensor

    def __init__(self, size: int, num_features: int, num_classes: int) -> None:
        super().__init__()
        if size < 1:
            raise ValueError(f"a memory needs at least one place, got size={size}")
        self.register_buffer("features", torch.zeros(size, num_features))
        self.register_buffer("targets", torch.zeros(size, num_classes))
        # Which training image a place holds; -1 for none yet.
        self.register_buffer("index", torch.full((size,), -1))
        self.register_buffer("written", torch.zeros((), dtype=torch.long))

    def push(self, features: Tensor, targets: Tensor, index: Tensor) -> None:
        r"""Puts samples in the places of the oldest ones.

        Shapes:
            - **input:** :math:`(N, F)`, :math:`(N, K)`, :math:`(N)`; of more samples than places
              the last ones stay
        """
        size = len(self.index)
        features, targets, index = features[-size:], targets[-size:], index[-size:]
        places = (self.written + torch.arange(len(index), device=self.index.device)) % size
        self.features[places] = unit_rows(features).to(self.features.dtype)
        self.targets[places] = targets.to(self.targets.dtype)
        self.index[places] = index.to(self.index.device)
        self.written += len(index)

    def opinion(self, edges: SimilarityEdges, z: Tensor, index: Tensor) -> Tensor:
        r"""The neighbours' mean label distribution, with its gradient to :math:`\alpha, \beta`.

        Args:
            edges: Graph generator.
            z: Features of the images.
            index: Which training images they are.

        Shapes:
            - **input:** :math:`(N, F)`, :math:`(N)`
            - **output:** :math:`(N, K)`, rows sum to 1
        """
        return self._mean_target(self._edge_weight(edges, z, index))

    @torch.no_grad()
    def noise_rate(self, edges: SimilarityEdges) -> float:
        r"""The share of wrong labels, where labels are remembered as they were given.

        Of images whose class is beyond doubt, the neighbours are of that class, and whose label
        is another one has a wrong one. Such images are those whose neighbours agree most,

        .. math::
            \hat{\rho} = 1 - Q_{0.97} \left( \max_k q_{mk} \right)

        over the images :math:`m` that are remembered and have at least 30 effective neighbours,
        :math:`(\sum_j P_{mj})^2 / \sum_j P_{mj}^2`. It supposes that labels of all classes are
        wrong as often, and that the features have not learned wrong labels by heart: these would
        agree with each other. Source: anchor points, Patrini et al., *Making deep neural networks
        robust to label noise: a loss correction approach*, CVPR 2017, of a network's probabilities.

        Args:
            edges: Graph generator.

        Returns:
            The share, 0 to 1; 1 if no image has neighbours enough.
        """
        surest = []
        for rows in (self.index >= 0).nonzero().flatten().split(1024):
            weight = self._edge_weight(edges, self.features[rows], self.index[rows])
            total = weight.sum(1)
            known = total**2 >= MIN_VOTES * (weight**2).sum(1).clamp(min=PRIOR**2)
            surest.append(self._mean_target(weight[known]).amax(1))
        agreed = torch.cat(surest)
        if not len(agreed):
            return 1.0
        return 1 - float(agreed.double().quantile(ANCHOR_QUANTILE))

    def _edge_weight(self, edges: SimilarityEdges, z: Tensor, index: Tensor) -> Tensor:
        """Expected edges from each image to what is remembered of others, (N, M)."""
        with torch.autocast(z.device.type, enabled=False):
            similarity = unit_rows(z.detach()) @ self.features.t()
        others = (index.to(self.index.device).unsqueeze(1) != self.index) & (self.index >= 0)
        return edges.expected_weight(similarity) * others

    def _mean_target(self, weight: Tensor) -> Tensor:
        num_classes = self.targets.size(1)
        with torch.autocast(weight.device.type, enabled=False):
            # A copy: the backward pass may come after the next push.
            votes = weight @ self.targets.to(weight.dtype, copy=True)
        return (votes + PRIOR / num_classes) / (weight.sum(1, keepdim=True) + PRIOR)
