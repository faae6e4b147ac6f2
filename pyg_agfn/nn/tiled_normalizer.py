r"""Eq. 6 for graphs of many nodes: no :math:`N \times N` matrix is ever held.

Edges are drawn in tiles of rows, so that memory is :math:`O(N \cdot \text{tile} + |\mathcal{E}|)`;
the drawn ones are multiplied with as PyG's :class:`~torch_geometric.EdgeIndex`, in compressed rows.
The gradient of :math:`\alpha` and :math:`\beta` is still that of every pair, drawn or not: Eq. 14's
sum over :math:`N^2` pairs is separable, since the cosine of a pair and the loss's slope at it are
both products of something of :math:`i` with something of :math:`j`, and
:math:`\sum_{ij} (u_i \cdot u_j)(p_i \cdot q_j) = \langle U^\top P, U^\top Q \rangle`. It
costs two products of :math:`N F^2`.
"""

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint
from torch_geometric import EdgeIndex

from pyg_agfn.transforms import PoissonEdges, SimilarityEdges, edge_probability, poisson_rate
from pyg_agfn.transforms.checks import check_choice, is_exporting, without_autocast
from pyg_agfn.transforms.similarity_edges import MODES, Mode, Tiles


def normalize_in_tiles(
    h: Tensor,
    x: Tensor,
    edges: SimilarityEdges,
    batch: Tensor | None = None,
    mode: Mode | None = None,
) -> Tensor:
    r"""Eq. 6's propagation of :math:`H = XW` over the graph that ``edges`` gives to ``x``.

    What :func:`~pyg_agfn.nn.graph_normalizer.normalize_features` computes over
    ``edges.adjacency(x, batch)``, with the same gradients.

    Args:
        h (Tensor): Transformed features.
        x (Tensor): Features whose cosines decide on the edges; they get no gradient.
        edges (SimilarityEdges): Graph generator.
        batch (LongTensor, optional): The graph of each node.
        mode (str, optional): Overrides the generator's own. ``"expectation"`` draws nothing: the
            product with all pairs is computed tile by tile, and once more in the backward pass.

    Shapes:
        - **h:** :math:`(|\mathcal{V}|, F)`
        - **x:** :math:`(|\mathcal{V}|, D)`
        - **batch:** :math:`(|\mathcal{V}|)`
        - **output:** :math:`(S, |\mathcal{V}|, F)`

    Raises:
        ValueError: The graph's gradient is asked to reach the features.
        RuntimeError: Within :func:`torch.export.export`.
    """
    if is_exporting():
        raise RuntimeError('tiles cannot be exported: use propagation="dense"')
    tiles = edges.tiles(x, batch)
    alpha = beta = None
    slope = False
    with without_autocast(h.device):
        h = h.to(tiles.unit.dtype)
        if isinstance(edges, PoissonEdges):
            if edges.feature_gradient:
                raise ValueError('feature_gradient=True needs propagation="dense"')
            alpha, beta = edges.parameters_by_pair(tiles.num_pairs())
            mode = edges.mode if mode is None else mode
            check_choice("mode", mode, MODES)
            if mode == "expectation":
                return _normalize_expected(h, tiles, alpha, beta).unsqueeze(0)
            slope = edges.estimator == "probability"
        drawn = [(source, target) for source, target, _ in edges.draw_in_tiles(tiles)]
        return torch.stack([_normalize_drawn(h, alpha, beta, tiles, *d, slope) for d in drawn])


def _normalize_drawn(
    h: Tensor,
    alpha: Tensor | None,
    beta: Tensor | None,
    tiles: Tiles,
    source: Tensor,
    target: Tensor,
    slope: bool,
) -> Tensor:
    """Eq. 6 over one drawn graph."""

    def product(values: Tensor) -> Tensor:
        out: Tensor = _DrawnProduct.apply(values, alpha, beta, source, target, tiles, slope, False)
        return out

    scale = (1 + product(h.new_ones(len(h), 1))).rsqrt()  # N, 1
    scaled = scale * h
    return scale * (product(scaled) + scaled)


class _DrawnProduct(torch.autograd.Function):
    r"""The product :math:`A V` over one drawn graph; backward, Eq. 14 for every pair of nodes.

    The backward pass consists of operations that have a derivative, this one among them, so that
    derivatives of any order are those of the dense matrix.
    """

    @staticmethod
    def forward(
        values: Tensor,
        alpha: Tensor | None,
        beta: Tensor | None,
        source: Tensor,
        target: Tensor,
        tiles: Tiles,
        slope: bool,
        transposed: bool,
    ) -> Tensor:
        row, column = (source, target) if transposed else (target, source)
        # Edges are drawn row by row of A, so that only its transpose has to be sorted.
        return _matmul(row, column, values, is_sorted=not transposed)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        values, alpha, beta, source, target, ctx.tiles, ctx.slope, ctx.transposed = inputs
        ctx.save_for_backward(values, alpha, beta, source, target)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:  # type: ignore[override]
        values, alpha, beta, source, target = ctx.saved_tensors
        to_values = to_alpha = to_beta = None
        # Who calls backward() inside autocast would have it on here too.
        with without_autocast(grad.device):
            if ctx.needs_input_grad[0]:
                to_values = _DrawnProduct.apply(
                    grad, alpha, beta, source, target, ctx.tiles, ctx.slope, not ctx.transposed
                )
            if alpha is not None and beta is not None:
                # The cosine is symmetric, so the sums are the same for A and its transpose.
                if ctx.slope:
                    to_alpha, to_beta = _all_pairs_by_tile(ctx.tiles, grad, values, alpha, beta)
                else:
                    to_alpha, to_beta = _all_pairs(ctx.tiles, grad, values, alpha, beta)
        return to_values, to_alpha, to_beta, None, None, None, None, None


def _matmul(row: Tensor, column: Tensor, values: Tensor, is_sorted: bool) -> Tensor:
    """The product of the matrix that is 1 at these places with ``values``."""
    edges = EdgeIndex(
        torch.stack([row, column]),
        sparse_size=(len(values), len(values)),
        sort_order="row" if is_sorted else None,
    )
    with warnings.catch_warnings():  # that CSR is in beta, and that indices are not checked
        warnings.filterwarnings("ignore", "Sparse ")
        edges = edges.sort_by("row", stable=True).values  # sums in one order each time
        out: Tensor = edges.matmul(values, values.new_ones(len(row)))
    return out


def _all_pairs(
    tiles: Tiles, p: Tensor, q: Tensor, alpha: Tensor, beta: Tensor
) -> tuple[Tensor, Tensor]:
    r"""Sums of :math:`\cos_{ij} p_i \cdot q_j` and of :math:`p_i \cdot q_j` over the pairs."""
    to_alpha, to_beta = torch.zeros_like(alpha), torch.zeros_like(beta)
    for nodes in tiles.graphs():
        u, own_p, own_q = tiles.unit[nodes], p[nodes], q[nodes]
        to_alpha = to_alpha + ((u.t() @ own_p) * (u.t() @ own_q)).sum()
        to_beta = to_beta + own_p.sum(0) @ own_q.sum(0)
    return to_alpha, to_beta


def _all_pairs_by_tile(
    tiles: Tiles, p: Tensor, q: Tensor, alpha: Tensor, beta: Tensor
) -> tuple[Tensor, Tensor]:
    """The same with each pair weighed by the slope of Eq. 3, which is not separable."""

    def sums(index: int, p: Tensor, q: Tensor, alpha: Tensor, beta: Tensor) -> Tensor:
        rows, similarity, joinable = tiles[index]
        rate = poisson_rate(similarity, alpha, beta)
        slope = torch.where(rate > 0, torch.exp(-rate), 0.0)
        if joinable is not None:
            slope = slope * joinable
        weighed = slope * (p[rows] @ q.t())
        return torch.stack([(similarity * weighed).sum(), weighed.sum()])

    total = torch.stack([torch.zeros_like(alpha), torch.zeros_like(beta)])
    for part in _by_tile(tiles, sums, p, q, alpha, beta):
        total = total + part
    return total[0], total[1]


def _by_tile(tiles: Tiles, part: Callable[..., Tensor], *inputs: Tensor) -> Iterator[Tensor]:
    """``part`` of each tile; a tile's inputs are held, and it is computed again backward."""
    for index in range(len(tiles)):
        yield checkpoint(part, index, *inputs, use_reentrant=False)


def _normalize_expected(h: Tensor, tiles: Tiles, alpha: Tensor, beta: Tensor) -> Tensor:
    """Eq. 6 with P of Eq. 3 in the place of A."""

    def weights(index: int, alpha: Tensor, beta: Tensor) -> Tensor:
        _, similarity, joinable = tiles[index]
        weight = edge_probability(poisson_rate(similarity, alpha, beta))
        return weight if joinable is None else weight * joinable

    def degree(index: int, alpha: Tensor, beta: Tensor) -> Tensor:
        return 1 + weights(index, alpha, beta).sum(1, keepdim=True)

    def product(index: int, alpha: Tensor, beta: Tensor, scaled: Tensor) -> Tensor:
        return weights(index, alpha, beta) @ scaled

    scale = torch.cat(list(_by_tile(tiles, degree, alpha, beta))).rsqrt()
    scaled = scale * h
    mixed = torch.cat(list(_by_tile(tiles, product, alpha, beta, scaled)))
    return scale * (mixed + scaled)
