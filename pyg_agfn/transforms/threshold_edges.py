"""The staircase function that the paper compares its Poisson graph with (Section 4.2)."""

import torch
from torch import Tensor
from torch_geometric.data.datapipes import functional_transform

from pyg_agfn.transforms.checks import check_nodes, check_number
from pyg_agfn.transforms.similarity_edges import (
    Mode,
    Pairs,
    SimilarityEdges,
    cosine_similarity,
    same_graph,
)


@functional_transform("threshold_edges")
class ThresholdEdges(SimilarityEdges):
    r"""Joins the nodes of a graph whose cosine similarity is greater than a threshold
    (functional name: :obj:`threshold_edges`). The graph of the paper's *Baseline-GCN*.

    As in :class:`~pyg_agfn.transforms.PoissonEdges`, :math:`i = j` is a pair like any other.
    There is nothing to learn and nothing random: ``mode`` changes nothing.

    Args:
        threshold (float): Pairs above it are joined. (default: :obj:`0.5`)
        pairs (str): ``"sampled"`` lists the edges, ``"all"`` every pair of nodes of one graph.
            (default: :obj:`"sampled"`)
        tile_size (int, optional): Rows of pairs at once where edges are listed in tiles.

    Shapes:
        - **input:** ``data.x`` :math:`(|\mathcal{V}|, F)`, ``data.batch``
          :math:`(|\mathcal{V}|)` *(optional)*
        - **output:** ``data.edge_index`` :math:`(2, |\mathcal{E}|)`, ``data.edge_weight``
          :math:`(|\mathcal{E}|)`; what the graph had for other edges is dropped

    Raises:
        ValueError: An unknown option, no matrix of floats in ``data.x``, or a ``batch`` that does
            not fit it.
    """

    def __init__(
        self, threshold: float = 0.5, pairs: Pairs = "sampled", tile_size: int | None = None
    ) -> None:
        super().__init__(pairs, tile_size)
        check_number("threshold", threshold)
        self.threshold = threshold

    def expected_weight(self, similarity: Tensor) -> Tensor:
        return (similarity > self.threshold).to(similarity.dtype)

    def draw(self, similarity: Tensor) -> Tensor:
        return (similarity > self.threshold).unsqueeze(0)

    def adjacency(
        self,
        x: Tensor,
        batch: Tensor | None = None,
        mode: Mode | None = None,
        rows: slice | None = None,
    ) -> Tensor:
        check_nodes(x, batch)
        x, every = x.detach(), slice(None)
        adj = self.expected_weight(cosine_similarity(x[rows or every], x))
        if batch is not None:
            adj = torch.where(same_graph(batch)[rows or every], adj, 0.0)
        return adj.unsqueeze(0)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(threshold={self.threshold})"
