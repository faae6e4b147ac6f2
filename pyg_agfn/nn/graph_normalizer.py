"""Feature normalization with a graph convolution (Section 3.2).

Source: Du, Wang, Xiong, *Adaptive Graph-Based Feature Normalization for Facial Expression
Recognition*, after Kipf and Welling, *Semi-supervised classification with graph convolutional
networks*.
"""

import torch
from torch import Tensor, nn
from torch_geometric.nn import GCNConv
from torch_geometric.utils import is_torch_sparse_tensor, to_edge_index

from pyg_agfn.distributed import gather_rows
from pyg_agfn.nn.tiled_normalizer import normalize_in_tiles
from pyg_agfn.transforms.similarity_edges import Mode, SimilarityEdges


def normalize_features(h: Tensor, adj: Tensor) -> Tensor:
    r"""Eq. 6's propagation of transformed features :math:`H = XW` over a dense adjacency.

    .. math::
        \tilde{D}^{-1/2} (A + I) \tilde{D}^{-1/2} H, \qquad \tilde{D}_{ii} = 1 + \sum_j a_{ij}

    Differentiable in :math:`H` and in every entry of :math:`A`, the zeros included. Degrees are
    summed in ``adj``'s type; only the product is in that of ``h``, or of autocast.

    Shapes:
        - **h:** :math:`(|\mathcal{V}|, F)`
        - **adj:** :math:`(S, |\mathcal{V}|, |\mathcal{V}|)`, row :math:`i` the target,
          entries :math:`\geq 0`
        - **output:** :math:`(S, |\mathcal{V}|, F)`
    """
    scale = (1 + adj.sum(-1)).rsqrt()
    loops = torch.eye(adj.size(-1), dtype=adj.dtype, device=adj.device)
    # Scaling the matrix, not the features, leaves one product for all draws, each way.
    weight = ((adj + loops) * scale.unsqueeze(-1) * scale.unsqueeze(-2)).to(h.dtype)
    return (weight.flatten(0, 1) @ h).unflatten(0, weight.shape[:2])


def normalize_own_rows(h: Tensor, adj: Tensor) -> Tensor:
    r"""Eq. 6 of the whole batch, for the rows of this process (:mod:`pyg_agfn.distributed`).

    The other processes' transformed features and degrees are gathered, both with their gradient:
    how a row weighs its neighbours depends on their degrees, which are others' rows.

    Shapes:
        - **h:** :math:`(n, F)`
        - **adj:** :math:`(S, n, |\mathcal{V}|)`, this process's rows
        - **output:** :math:`(S, n, F)`
    """
    own = (1 + adj.sum(-1, keepdim=True)).rsqrt()  # S, n, 1
    every = gather_rows(own.transpose(0, 1)).transpose(0, 1)  # S, N, 1
    return own * (adj @ (every * gather_rows(h)) + own * h)


class GraphNormalizer(nn.Module):
    r"""Normalizes the features of associated samples with one
    :class:`~torch_geometric.nn.GCNConv` (Eq. 6).

    .. math::
        \hat{X} = \tilde{D}^{-1/2} (A + I) \tilde{D}^{-1/2} X W, \qquad
        \tilde{D}_{ii} = 1 + \sum_j a_{ij}

    :math:`\tilde{D}` is the in-degree for both factors, also where :math:`A` is not symmetric.
    A sampled self-pair :math:`a_{ii} = 1` makes the diagonal of :math:`A + I` 2: ``GCNConv``'s own
    self-loops would replace it by 1, so :math:`I` is added here, beside the edges that are there.

    Args:
        in_channels (int): Size of each input feature vector.
        out_channels (int): Size of each output feature vector.
        bias (bool): Add a learned vector to the output; Eq. 6 has none. (default: :obj:`False`)

    Shapes:
        - **input:** node features :math:`(|\mathcal{V}|, F_{in})`, edge indices
          :math:`(2, |\mathcal{E}|)` or a sparse ``adj_t``
          :math:`(|\mathcal{V}|, |\mathcal{V}|)` as PyG's layers take it, edge weights
          :math:`(|\mathcal{E}|)`, :math:`\geq 0` *(optional)*
        - **output:** :math:`(|\mathcal{V}|, F_{out})`
    """

    def __init__(self, in_channels: int, out_channels: int, bias: bool = False) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.conv = GCNConv(in_channels, out_channels, add_self_loops=False, bias=bias)

    def reset_parameters(self) -> None:
        """Draws a new :math:`W`."""
        self.conv.reset_parameters()

    def forward(self, x: Tensor, edge_index: Tensor, edge_weight: Tensor | None = None) -> Tensor:
        if is_torch_sparse_tensor(edge_index):
            if edge_weight is not None:
                raise ValueError(
                    "edge_weight must be None where edge_index is sparse: it has its own"
                )
            # adj_t holds the target in the row.
            (target, source), edge_weight = to_edge_index(edge_index)
            edge_index = torch.stack([source, target])
        if edge_weight is None:
            edge_weight = x.new_ones(edge_index.size(1))
        loop = torch.arange(x.size(0), device=x.device)
        edge_index = torch.cat([edge_index, torch.stack([loop, loop])], dim=1)
        edge_weight = torch.cat([edge_weight, edge_weight.new_ones(x.size(0))])
        # A GPU adds in the type of the weights, and bfloat16 counts to 256 only.
        edge_weight = edge_weight.to(torch.promote_types(edge_weight.dtype, torch.float32))
        out: Tensor = self.conv(x, edge_index, edge_weight)
        return out.to(x.dtype)

    def dense_forward(self, x: Tensor, adj: Tensor | None) -> Tensor:
        r"""The same with a dense adjacency, which keeps the gradient of every pair.

        Args:
            x (Tensor): Node features.
            adj (Tensor, optional): Adjacency, row :math:`i` the target; of a batch that several
                processes share, their own rows. Without one, :math:`A = 0`: each sample keeps to
                itself and :math:`\hat{X} = X W`.

        Shapes:
            - **input:** :math:`(|\mathcal{V}|, F_{in})`, adjacency
              :math:`(S, |\mathcal{V}|, |\mathcal{V}|)`
            - **output:** :math:`(S \cdot |\mathcal{V}|, F_{out})`, draw after draw
        """
        h = self.conv.lin(x)
        if adj is not None:
            whole = adj.size(1) == adj.size(2)
            h = (normalize_features if whole else normalize_own_rows)(h, adj).flatten(0, 1)
        return h if self.conv.bias is None else h + self.conv.bias

    def tiled_forward(
        self,
        x: Tensor,
        edges: SimilarityEdges,
        batch: Tensor | None = None,
        mode: Mode | None = None,
    ) -> Tensor:
        r"""The same over the graph that ``edges`` gives to ``x``, without an :math:`N^2` matrix.

        Args:
            x (Tensor): Node features, whose cosines decide on the edges too.
            edges (SimilarityEdges): Graph generator.
            batch (LongTensor, optional): The graph of each node.
            mode (str, optional): Overrides the generator's own mode.

        Shapes:
            - **input:** :math:`(|\mathcal{V}|, F_{in})`, batch :math:`(|\mathcal{V}|)`
            - **output:** :math:`(S \cdot |\mathcal{V}|, F_{out})`, draw after draw
        """
        h = normalize_in_tiles(self.conv.lin(x), x, edges, batch, mode).flatten(0, 1).to(x.dtype)
        return h if self.conv.bias is None else h + self.conv.bias

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.in_channels}, {self.out_channels})"
