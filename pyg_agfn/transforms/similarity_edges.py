"""What every graph generator of a mini-batch shares: cosine similarity in, a PyG graph out.

Source: Du, Wang, Xiong, *Adaptive Graph-Based Feature Normalization for Facial Expression
Recognition*, Section 3.1.
"""

import copy
from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.utils.data import get_worker_info
from torch_geometric.data import Data
from torch_geometric.transforms import BaseTransform

from pyg_agfn.transforms.checks import (
    check_choice,
    check_count,
    check_features,
    check_nodes,
    without_autocast,
)
from pyg_agfn.transforms.data_edges import check_graphs, put_edges

Mode = Literal["sample", "expectation"]
#: The same as a tuple, which a compiled forward pass can compare with.
MODES: tuple[str, ...] = get_args(Mode)
Pairs = Literal["sampled", "all"]


def cosine_similarity(x: Tensor, y: Tensor | None = None) -> Tensor:
    r"""Cosine similarity of every row of ``x`` to every row of ``y``, or of ``x`` itself (Eq. 2).

    .. math::
        \mathrm{cossim}(x_i, x_j) = \frac{x_i \cdot x_j}{\|x_i\| \|x_j\|}

    Where a row is zero the cosine is undefined; it is taken as 0, with gradient 0 from the norm.
    Rows so long or so short that their squares leave ``float32``'s range are compared like others.
    ``float16`` and ``bfloat16`` rows are compared in ``float32``, also under autocast: eight bits
    of mantissa would move probabilities by up to :math:`\alpha / 256`.

    Shapes:
        - **input:** :math:`(N, F)`, :math:`(M, F)` *(optional)*
        - **output:** :math:`(N, M)`, ``float32`` or ``float64``; without ``y``, :math:`(N, N)`
    """
    with without_autocast(x.device):
        unit = unit_rows(x)
        return unit @ (unit if y is None else unit_rows(y)).t()


def unit_rows(x: Tensor) -> Tensor:
    r"""Rows brought to length 1, zero rows left as they are, in at least ``float32``.

    Shapes:
        - **input, output:** :math:`(N, F)`
    """
    if x.dtype in (torch.float16, torch.bfloat16):
        x = x.float()
    if x.size(-1) == 0:
        return x  # a row of no numbers is a zero row
    # A power of two rounds nothing, and a factor changes neither direction nor gradient.
    largest = x.detach().abs().amax(-1, keepdim=True)
    is_zero = largest == 0
    # The exponent by a logarithm, as ONNX has no frexp: one off at a power of two is as good.
    exponent = largest.masked_fill(is_zero, 1.0).log2().floor() + 1
    x = torch.ldexp(x, -exponent.clamp(-100, 100))
    # The norm of a zero row has no second derivative, so it is never computed.
    norm = x.masked_fill(is_zero, 1.0).norm(dim=-1, keepdim=True)
    return x / norm.masked_fill(is_zero, 1.0)


def same_graph(batch: Tensor) -> Tensor:
    r"""Boolean :math:`(|\mathcal{V}|, |\mathcal{V}|)`: whether two nodes are of one graph."""
    return batch.unsqueeze(1) == batch.unsqueeze(0)


#: Pairs that a tile holds at most, where its size is not given.
TILE_PAIRS = 1 << 24


@dataclass(frozen=True)
class Tiles:
    r"""All pairs of nodes, a tile of rows at a time.

    Each tile is a slice of target nodes, their similarity to all nodes :math:`(n, N)`, and which of
    these pairs are of one graph, or None where all are.

    Attributes:
        unit: Features of length 1, or 0, :math:`(N, F)`.
        batch: The graph of each node, :math:`(N)`; None for one graph.
        size: Rows of a tile.
    """

    unit: Tensor
    batch: Tensor | None
    size: int

    def __len__(self) -> int:
        # Of no node there is one tile, of no row: it still tells the number of draws.
        return max(1, -(-len(self.unit) // self.size))

    def __getitem__(self, index: int) -> tuple[slice, Tensor, Tensor | None]:
        if not 0 <= index < len(self):
            raise IndexError(index)
        rows = slice(index * self.size, (index + 1) * self.size)
        joinable = None
        if self.batch is not None:
            joinable = self.batch[rows].unsqueeze(1) == self.batch.unsqueeze(0)
        with without_autocast(self.unit.device):
            return rows, self.unit[rows] @ self.unit.t(), joinable

    def __iter__(self) -> Iterator[tuple[slice, Tensor, Tensor | None]]:
        return (self[index] for index in range(len(self)))

    def graphs(self) -> Iterator[Tensor]:
        """The nodes of each graph."""
        if self.batch is None:
            yield torch.arange(len(self.unit), device=self.unit.device)
            return
        for graph in self.batch.unique():
            yield (self.batch == graph).nonzero().squeeze(1)

    def num_pairs(self) -> Tensor:
        """Ordered pairs of nodes of one graph, as a tensor: a number would make a GPU wait."""
        if self.batch is None:
            return torch.full((), len(self.unit) ** 2, device=self.unit.device)
        return self.batch.unique(return_counts=True)[1].square().sum()


class SimilarityEdges(BaseTransform, nn.Module):
    r"""Base of the transforms that join the nodes of a graph by their features' similarity.

    A child gives :meth:`adjacency`, which this class turns into ``edge_index`` and
    ``edge_weight``, and :meth:`expected_weight`.

    Args:
        pairs (str): Which ordered pairs ``edge_index`` lists, and so which have a gradient.
            ``"sampled"``: those with :math:`a_{ij} \neq 0`. ``"all"``: every pair of nodes of one
            graph, the unconnected ones with weight 0, so that the gradient reaches them through
            *any* PyG layer.
        tile_size (int, optional): Target nodes of which all pairs are looked at at once, when
            edges are drawn in tiles; as many as make 16 million pairs if not given.
    """

    def __init__(self, pairs: Pairs = "sampled", tile_size: int | None = None) -> None:
        nn.Module.__init__(self)
        if tile_size is not None:
            check_count("tile_size", tile_size)
        self.tile_size = tile_size
        check_choice("pairs", pairs, get_args(Pairs))
        self.pairs = pairs

    @abstractmethod
    def expected_weight(self, similarity: Tensor) -> Tensor:
        r"""Expectation of :math:`a_{ij}` at a cosine similarity, elementwise."""

    @abstractmethod
    def adjacency(
        self,
        x: Tensor,
        batch: Tensor | None = None,
        mode: Mode | None = None,
        rows: slice | None = None,
    ) -> Tensor:
        r"""Dense adjacency :math:`A` of the nodes, row :math:`i` the target.

        Args:
            x (Tensor): Node features.
            batch (LongTensor, optional): The graph of each node; no edge leaves a graph.
            mode (str, optional): Overrides the transform's own mode for this call.
            rows (slice, optional): These :math:`n` rows only, as the whole matrix has them.

        Shapes:
            - **input:** :math:`(|\mathcal{V}|, F)`, batch :math:`(|\mathcal{V}|)`
            - **output:** :math:`(S, n, |\mathcal{V}|)`, ``float32`` or ``float64``;
              :math:`n = |\mathcal{V}|` without ``rows``
        """

    @abstractmethod
    def draw(self, similarity: Tensor) -> Tensor:
        r"""Which of some pairs are joined, without a gradient.

        Shapes:
            - **input:** similarity of n targets to all nodes, :math:`(n, N)`
            - **output:** booleans :math:`(S, n, N)`
        """

    def tiles(self, x: Tensor, batch: Tensor | None = None) -> Tiles:
        """All pairs of nodes with features ``x``, a tile of rows at a time."""
        check_nodes(x, batch)
        with torch.no_grad(), without_autocast(x.device):
            unit = unit_rows(x.detach())
        return Tiles(unit, batch, self.tile_size or max(1, TILE_PAIRS // max(len(x), 1)))

    def draw_in_tiles(self, tiles: Tiles) -> list[tuple[Tensor, Tensor, Tensor]]:
        r"""Source, target and similarity of each edge of each draw.

        Memory is :math:`O(N \cdot \text{tile} + |\mathcal{E}|)`, never :math:`N^2`. In one tile
        the edges are those of :meth:`adjacency` with the same seed; in several, those of one draw
        on the CPU are. Several draws are made tile by tile, as their similarities are computed
        once, and a GPU's numbers depend on how many are asked for at once.
        """
        check_values(tiles.unit)
        parts: list[list[tuple[Tensor, Tensor, Tensor]]] = []
        for rows, similarity, joinable in tiles:
            with torch.no_grad():
                drawn = self.draw(similarity)
            if joinable is not None:
                drawn &= joinable
            parts = parts or [[] for _ in drawn]
            for edges, joined in zip(parts, drawn, strict=True):
                target, source = joined.nonzero(as_tuple=True)
                edges.append((source, target + rows.start, similarity[target, source]))
        return [
            (torch.cat(source), torch.cat(target), torch.cat(similarity))
            for source, target, similarity in (zip(*edges, strict=True) for edges in parts)
        ]

    def __call__(self, data: Data, mode: Mode | None = None) -> Data:
        # Both parents define __call__. This one copies as BaseTransform's does, so that the
        # caller's data stays as it was, and runs nn.Module's hooks.
        transformed: Data = nn.Module.__call__(self, copy.copy(data), mode)
        return transformed

    def forward(self, data: Data, mode: Mode | None = None) -> Data:
        if not isinstance(data, Data):
            raise ValueError(
                f"{type(self).__name__} needs a torch_geometric Data, got {type(data).__name__}"
            )
        x = data.x
        check_features("data.x", x)
        check_values(x)
        check_graphs(data)
        adj = self.adjacency(x, data.batch, mode)
        num_samples, num_nodes, _ = adj.shape
        if self.pairs == "all":
            listed = adj.new_ones(num_nodes, num_nodes, dtype=torch.bool)
            if data.batch is not None:
                listed = same_graph(data.batch)
            sample, target, source = listed.expand_as(adj).nonzero(as_tuple=True)
        else:
            sample, target, source = adj.detach().nonzero(as_tuple=True)
        weight = adj[sample, target, source].to(x.dtype)
        if get_worker_info() is not None:
            # No gradient leaves a DataLoader's worker, and no tensor that requires one can.
            weight = weight.detach()
        return put_edges(data, sample, target, source, weight, num_samples)


def check_values(x: Tensor) -> None:
    """Refuses tensors without numbers in them, on which no edge list can depend."""
    if x.is_meta:
        raise ValueError(
            "x is on the meta device, without the numbers that a list of edges depends on: "
            'propagation="dense" needs none'
        )
