"""Training images in the place of the batch: answers that depend on the one image alone.

AGFN as published joins the images of a test batch to each other, so that an image's answer depends
on the batch. Here each image is joined to a fixed set of training images instead.
"""

import torch
from torch import Tensor, nn
from torch_geometric.data import Data

from pyg_agfn.nn.agfn import AGFN
from pyg_agfn.transforms import cosine_similarity
from pyg_agfn.transforms.checks import check_count, check_features

#: Rows of a square of pairs that are held at once: memory is O(ROWS * M), not O(M^2).
ROWS = 2048


class ReferenceBank(nn.Module):
    r"""Projected features of training images that stand in for the batch (after Eq. 6).

    A query :math:`q` is joined to itself, as every node of Eq. 5 and 6 is, and to :math:`M`
    references by expected edges, with the probability of Eq. 3 as weight; no other query is seen:

    .. math::
        \hat{x}_q = d_q^{-1/2} \Big( (1 + P_{qq}) \, d_q^{-1/2} z_q
        + s \sum_m P_{qm} \, d_m^{-1/2} z_m \Big) W,
        \qquad d_q = 1 + P_{qq} + s \sum_m P_{qm}

    The references' degrees :math:`d_m` are those of the bank's own expected graph, computed once.
    :math:`s = (N - 1) / M` gives a query the degree that a batch of :math:`N` would give it, so
    that the size of the bank decides on the noise of the answer and not on its blend; among the
    references :math:`s` is :math:`(N - 1) / (M - 1)`, each having one neighbour less.

    Costs :math:`O(M)` an image: one product of the queries with the references for the
    similarities, one for the sum.

    Args:
        agfn (AGFN): Trained layer. Its graph's parameters and its normalizer's weights are taken
            as they are now: after training on, make a new bank.
        projected (Tensor): Projected features of the references.
        batch_size (int, optional): :math:`N` of training; None for :math:`s = 1`.
            (default: :obj:`256`)

    Shapes:
        - **projected:** :math:`(M, F)`, :math:`M \geq 1`
        - **input:** :math:`(N, F_{in})`, the features that the layer takes
        - **output:** :math:`(N, F_{out})`

    Raises:
        ValueError: No reference, a batch size below 1, features that are no dense matrix of
            floats, vectors of another size than the layer's projection, or the layer is in
            training mode, where batch normalization joins the queries.
    """

    projected: Tensor
    inverse_root_degree: Tensor
    messages: Tensor

    def __init__(self, agfn: AGFN, projected: Tensor, batch_size: int | None = 256) -> None:
        super().__init__()
        check_features("projected", projected, agfn.hidden_channels)
        if len(projected) == 0:
            raise ValueError("a bank needs at least one reference, got projected of no row")
        if batch_size is not None:
            check_count("batch_size", batch_size)
        self.agfn = agfn
        self.batch_size = batch_size
        size, projected = len(projected), projected.detach()
        among_queries, among_references = 1.0, 1.0
        if batch_size is not None:
            among_queries = (batch_size - 1) / size
            among_references = (batch_size - 1) / max(size - 1, 1)
        self.share = among_queries
        with torch.no_grad():
            own = self._self_weight(projected)
            others = expected_degree(agfn, projected) - own
            inverse_root_degree = (1 + own + among_references * others).rsqrt()
            transformed = agfn.normalizer.conv.lin(projected)
        self.register_buffer("projected", projected)
        self.register_buffer("inverse_root_degree", inverse_root_degree)
        self.register_buffer("messages", inverse_root_degree.unsqueeze(1) * transformed)

    @classmethod
    def from_features(
        cls, agfn: AGFN, features: Tensor, batch_size: int | None = 256
    ) -> "ReferenceBank":
        r"""A bank of the backbone's features of the references, :math:`(M, F_{in})`."""
        check_features("features", features)
        with torch.no_grad():
            return cls(agfn, agfn.projector(features), batch_size)

    def forward(self, x: Tensor) -> Tensor:
        z, own, scale, weights = self._joined(x)
        itself = (own * scale).unsqueeze(1) * self.agfn.normalizer.conv.lin(z)
        out = (scale.unsqueeze(1) * (itself + weights @ self.messages.to(weights.dtype))).to(
            z.dtype
        )
        bias = self.agfn.normalizer.conv.bias
        return out if bias is None else out + bias

    def weights(self, x: Tensor) -> tuple[Tensor, Tensor]:
        r"""What shaped each answer: the factors of :math:`z_q W` and of each :math:`z_m W`.

        Shapes:
            - **input:** :math:`(N, F_{in})`
            - **output:** of the query itself :math:`(N)`, of each reference :math:`(N, M)`
        """
        _, own, scale, weights = self._joined(x)
        return own * scale**2, scale.unsqueeze(1) * weights * self.inverse_root_degree

    def graph(self, x: Tensor) -> Data:
        r"""Queries and references as a PyG graph, over which Eq. 6 gives the bank's answer:

        .. code-block:: python

            data = bank.graph(x)
            out = agfn.normalizer(data.x, data.edge_index, data.edge_weight)
            out = out[~data.is_reference]

        Edges run from reference to query, with weight :math:`s P_{qm}`, and from each node to
        itself: :math:`P_{qq}` of a query, :math:`d_m - 1` of a reference. The latter stands for all
        edges among the references, of which a query's answer needs the degrees alone. Edges of
        weight 0 are left out.

        Shapes:
            - **input:** :math:`(N, F_{in})`
            - **output:** ``data.x`` :math:`(N + M, F)`, projected queries first;
              ``data.is_reference`` :math:`(N + M)`; ``data.edge_index`` and ``data.edge_weight``
        """
        z, own, _, weights = self._joined(x)
        query, reference = weights.nonzero(as_tuple=True)
        degree = self.inverse_root_degree.to(own.dtype) ** -2
        loop_weight = (torch.cat([own, degree]) - 1).clamp(min=0)  # no rounding below 0
        loop = loop_weight.nonzero().squeeze(1)
        return Data(
            x=torch.cat([z, self.projected]),
            edge_index=torch.cat(
                [torch.stack([reference + len(z), query]), loop.expand(2, -1)], dim=1
            ),
            edge_weight=torch.cat([weights[query, reference], loop_weight[loop]]),
            is_reference=torch.arange(len(z) + len(self.projected), device=z.device) >= len(z),
        )

    def _joined(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Projected queries z, 1 + P_qq (N), d_q^-1/2 (N) and s P_qm (N, M)."""
        if self.agfn.training:
            raise ValueError("a bank answers in evaluation mode: call model.eval() first")
        check_features("x", x)
        z = self.agfn.projector(x)
        similarity = cosine_similarity(z, self.projected)
        weights = self.share * self.agfn.edges.expected_weight(similarity)
        own = 1 + self._self_weight(z)
        return z, own, (own + weights.sum(1)).rsqrt(), weights

    def _self_weight(self, z: Tensor) -> Tensor:
        """P_ii (N): a vector's cosine to itself is 1, or 0 where it is zero."""
        dtype = torch.promote_types(z.dtype, torch.float32)
        return self.agfn.edges.expected_weight(z.any(1).to(dtype))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self.projected)}, batch_size={self.batch_size})"


def expected_degree(agfn: AGFN, z: Tensor, labels: Tensor | None = None) -> Tensor:
    r"""Sum of each vector's expected edges, :math:`\sum_j P_{ij}`, itself included.

    Args:
        agfn (AGFN): Whose graph it is.
        z (Tensor): Projected features.
        labels (Tensor, optional): Count the edges to vectors of the same label only.

    Shapes:
        - **input:** :math:`(M, F)`, :math:`(M)`
        - **output:** :math:`(M)`
    """
    sums = [z.new_zeros(0, dtype=torch.promote_types(z.dtype, torch.float32))]
    for start in range(0, len(z), ROWS):
        rows = slice(start, start + ROWS)
        with torch.no_grad():
            expected = agfn.edges.expected_weight(cosine_similarity(z[rows], z))
        if labels is not None:
            expected = expected * (labels[rows].unsqueeze(1) == labels)
        sums.append(expected.sum(1))
    return torch.cat(sums)
