r"""Eq. 6 for graphs of many nodes: no :math:`N \times N` matrix is ever held.

Edges are drawn in tiles of rows, so that memory is :math:`O(N \cdot \text{tile} + |\mathcal{E}|)`;
the drawn ones are propagated as a sparse matrix. The gradient of :math:`\alpha` and :math:`\beta`
is still that of every pair, drawn or not: Eq. 14's sum over :math:`N^2` pairs is separable, since
the cosine of a pair and the loss's slope at it are both products of something of :math:`i` with
something of :math:`j`, and :math:`\sum_{ij} (u_i \cdot u_j)(p_i \cdot q_j) =
\langle U^\top P, U^\top Q \rangle`. It costs two products of :math:`N F^2`.
"""

import warnings
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint
from torch_geometric.utils import to_torch_csr_tensor

from pyg_agfn.transforms import PoissonEdges, SimilarityEdges, edge_probability, poisson_rate
from pyg_agfn.transforms.similarity_edges import Mode, Tiles


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
    """
    tiles = edges.tiles(x, batch)
    alpha = beta = None
    slope = False
    with torch.autocast(h.device.type, enabled=False):
        h = h.to(tiles.unit.dtype)
        if isinstance(edges, PoissonEdges):
            if edges.feature_gradient:
                raise ValueError('feature_gradient=True needs propagation="dense"')
            alpha, beta = edges.parameters_by_pair(tiles.num_pairs())
            if (mode or edges.mode) == "expectation":
                return _normalize_expected(h, tiles, alpha, beta).unsqueeze(0)
            slope = edges.estimator == "probability"
        drawn = [(source, target) for source, target, _ in edges.draw_in_tiles(tiles)]
        return torch.stack(
            [_DrawnGraph.apply(h, alpha, beta, tiles, pairs, slope) for pairs in drawn]
        )


class _DrawnGraph(torch.autograd.Function):
    """Eq. 6 over one drawn graph; backward, Eq. 14 for every pair of nodes."""

    @staticmethod
    def forward(
        ctx: Any,
        h: Tensor,
        alpha: Tensor | None,
        beta: Tensor | None,
        tiles: Tiles,
        drawn: tuple[Tensor, Tensor],
        slope: bool,
    ) -> Tensor:
        source, target = drawn
        degree = 1 + torch.bincount(target, minlength=len(h))
        scale = degree.to(h.dtype).rsqrt().unsqueeze(1)  # N, 1
        scaled = scale * h
        mixed = _sparse(target, source, len(h), h.dtype) @ scaled + scaled
        ctx.save_for_backward(h, alpha, beta, source, target, scale, mixed)
        ctx.tiles, ctx.slope = tiles, slope
        return scale * mixed

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:  # type: ignore[override]
        h, alpha, beta, source, target, scale, mixed = ctx.saved_tensors
        # Who calls backward() inside autocast would have it on here too.
        with torch.autocast(grad.device.type, enabled=False):
            p = scale * grad
            to_scaled = _sparse(source, target, len(h), h.dtype) @ p + p
            grad_alpha = grad_beta = None
            if alpha is not None:
                # dE/da_ij = p_i . q_j + t_i, with t_i the part that goes through the degree of i.
                q = scale * h
                to_scale = (grad * mixed).sum(1, keepdim=True) + (to_scaled * h).sum(
                    1, keepdim=True
                )
                t = -0.5 * scale**3 * to_scale
                through = _all_pairs_by_tile if ctx.slope else _all_pairs
                grad_alpha, grad_beta = through(ctx.tiles, p, q, t, alpha, beta)
            return scale * to_scaled, grad_alpha, grad_beta, None, None, None


def _sparse(row: Tensor, column: Tensor, size: int, dtype: torch.dtype) -> Tensor:
    ones = torch.ones(row.numel(), dtype=dtype, device=row.device)
    with warnings.catch_warnings():  # that CSR is in beta, and that indices are not checked
        warnings.filterwarnings("ignore", "Sparse ")
        return to_torch_csr_tensor(torch.stack([row, column]), ones, size=(size, size))


def _all_pairs(
    tiles: Tiles, p: Tensor, q: Tensor, t: Tensor, alpha: Tensor, beta: Tensor
) -> tuple[Tensor, Tensor]:
    r"""Sums of :math:`\cos_{ij} g_{ij}` and :math:`g_{ij} = p_i \cdot q_j + t_i` over the pairs."""
    grad_alpha, grad_beta = torch.zeros_like(alpha), torch.zeros_like(beta)
    for nodes in tiles.graphs():
        u, own_p, own_q, own_t = tiles.unit[nodes], p[nodes], q[nodes], t[nodes]
        pairs = ((u.t() @ own_p) * (u.t() @ own_q)).sum()
        grad_alpha += pairs + (own_t * u).sum(0) @ u.sum(0)
        grad_beta += own_p.sum(0) @ own_q.sum(0) + len(u) * own_t.sum()
    return grad_alpha, grad_beta


def _all_pairs_by_tile(
    tiles: Tiles, p: Tensor, q: Tensor, t: Tensor, alpha: Tensor, beta: Tensor
) -> tuple[Tensor, Tensor]:
    """The same with each pair weighed by the slope of Eq. 3, which is not separable."""
    grad_alpha, grad_beta = torch.zeros_like(alpha), torch.zeros_like(beta)
    for rows, similarity, joinable in tiles:
        rate = poisson_rate(similarity, alpha, beta)
        slope = torch.where(rate > 0, torch.exp(-rate), 0.0)
        if joinable is not None:
            slope = slope * joinable
        weighed = slope * (p[rows] @ q.t() + t[rows])
        grad_alpha += (similarity * weighed).sum()
        grad_beta += weighed.sum()
    return grad_alpha, grad_beta


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

    # A checkpoint holds a tile's inputs only, and computes it again in the backward pass.
    def run(part: Any, *inputs: Any) -> Iterator[Tensor]:
        for index in range(len(tiles)):
            yield checkpoint(part, index, *inputs, use_reentrant=False)

    scale = torch.cat(list(run(degree, alpha, beta))).rsqrt()
    scaled = scale * h
    return scale * (torch.cat(list(run(product, alpha, beta, scaled))) + scaled)
