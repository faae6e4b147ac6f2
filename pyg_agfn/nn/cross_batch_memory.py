"""A memory of past batches, so that an image's neighbours are found among thousands.

Source: Wang, Zhang, Huang, Scott, *Cross-Batch Memory for Embedding Learning*, CVPR 2020. There
its features are compared for a loss; here Eq. 2-4 of AGFN make them the neighbours of an image.
"""

import torch
from torch import Tensor, nn

from pyg_agfn.transforms import SimilarityEdges
from pyg_agfn.transforms.checks import check_count, check_features, check_labels, without_autocast
from pyg_agfn.transforms.similarity_edges import unit_rows

#: Weight of a uniform prior in each posterior: an image without a neighbour has all classes alike.
PRIOR = 1e-3


class CrossBatchMemory(nn.Module):
    r"""The last samples, as a ring: features, label distributions, given labels, and how strongly
    these disagreed with their neighbours when they came in.

    :meth:`posterior` is what the graph says of an image's label: the mean of its neighbours'
    distributions :math:`t_m`, by the expected edges of Eq. 3,

    .. math::
        q_i = \frac{\sum_m P_{im} \, t_m + \epsilon / K}{\sum_m P_{im} + \epsilon},
        \qquad P_{im} = 1 - e^{-\max(\alpha \, \mathrm{cossim}(z_i, z_m) + \beta, 0)}

    without the image itself, under whatever view it is remembered: an image's posterior does not
    contain its own label.

    Args:
        size (int): Samples :math:`M` that are kept.
        num_features (int): :math:`F`.
        num_classes (int): :math:`K`.

    Raises:
        ValueError: A size below 1, features that are no dense matrix of floats of :math:`F`
            columns, or something of another number of samples.
    """

    features: Tensor
    targets: Tensor
    labels: Tensor
    disagreement: Tensor
    index: Tensor
    written: Tensor

    def __init__(self, size: int, num_features: int, num_classes: int) -> None:
        super().__init__()
        check_count("size", size)
        check_count("num_features", num_features)
        check_count("num_classes", num_classes)
        self.register_buffer("features", torch.zeros(size, num_features))
        self.register_buffer("targets", torch.zeros(size, num_classes))
        self.register_buffer("labels", torch.zeros(size, dtype=torch.long))
        # -1 for not known.
        self.register_buffer("disagreement", torch.full((size,), -1.0))
        # Which training image a place holds; -1 for none yet.
        self.register_buffer("index", torch.full((size,), -1))
        self.register_buffer("written", torch.zeros((), dtype=torch.long))

    def push(
        self,
        features: Tensor,
        targets: Tensor,
        labels: Tensor,
        disagreement: Tensor,
        index: Tensor,
    ) -> None:
        r"""Puts samples in the places of the oldest ones.

        Args:
            features: Projected features.
            targets: What is learned of each, a distribution.
            labels: Labels as given.
            disagreement: How strongly each label disagrees with its neighbours, 0 to 1; -1 for
                not known.
            index: Which training images they are.

        Shapes:
            - **input:** :math:`(N, F)`, :math:`(N, K)`, :math:`(N)`, :math:`(N)`, :math:`(N)`; of
              more samples than places the last ones stay
        """
        check_features("features", features, self.features.size(1))
        for name, of_samples in (
            ("targets", targets),
            ("labels", labels),
            ("disagreement", disagreement),
            ("index", index),
        ):
            if len(of_samples) != len(features):
                raise ValueError(
                    f"{name} must be of {len(features)} samples as features are, "
                    f"got {len(of_samples)}"
                )
        size = len(self.index)
        count = min(len(index), size)
        places = (self.written + torch.arange(count, device=self.index.device)) % size
        for buffer, samples in (
            (self.features, unit_rows(features)),
            (self.targets, targets),
            (self.labels, labels),
            (self.disagreement, disagreement),
            (self.index, index),
        ):
            buffer[places] = samples[-size:].to(buffer)
        self.written += count

    def posterior(self, edges: SimilarityEdges, z: Tensor, index: Tensor) -> Tensor:
        r"""The neighbours' mean label distribution, with its gradient to :math:`\alpha, \beta`.

        Args:
            edges: Graph generator.
            z: Features of the images.
            index: Which training images they are.

        Shapes:
            - **input:** :math:`(N, F)`, :math:`(N)`
            - **output:** :math:`(N, K)`, rows sum to 1
        """
        check_features("z", z, self.features.size(1))
        index = index.to(z.device, non_blocking=True)
        check_labels("index", index, z)
        return self._mean_target(self._edge_weight(edges, z, index))

    @torch.no_grad()
    def posteriors(self, edges: SimilarityEdges) -> tuple[Tensor, Tensor]:
        r"""What the neighbours say of each remembered sample, and the label it was given.

        Args:
            edges: Graph generator.

        Shapes:
            - **output:** :math:`(M', K)`, :math:`(M')` for :math:`M' \leq M` samples
        """
        filled = (self.index >= 0).nonzero().flatten()
        posteriors = [
            self._mean_target(self._edge_weight(edges, self.features[rows], self.index[rows]))
            for rows in filled.split(1024)
        ]
        if not posteriors:
            return self.targets[filled], self.labels[filled]
        return torch.cat(posteriors), self.labels[filled]

    def _edge_weight(self, edges: SimilarityEdges, z: Tensor, index: Tensor) -> Tensor:
        """Expected edges from each image to what is remembered of others, (N, M)."""
        with without_autocast(z.device):
            unit = unit_rows(z.detach())
            similarity = unit @ self.features.to(unit.dtype).t()
        others = (index.unsqueeze(1) != self.index) & (self.index >= 0)
        return edges.expected_weight(similarity) * others

    def _mean_target(self, weight: Tensor) -> Tensor:
        num_classes = self.targets.size(1)
        with without_autocast(weight.device):
            # A copy: the backward pass may come after the next push.
            votes = weight @ self.targets.to(weight.dtype, copy=True)
        return (votes + PRIOR / num_classes) / (weight.sum(1, keepdim=True) + PRIOR)
