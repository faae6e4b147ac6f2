"""Tiles against the dense matrix: the same values, and the same gradient of every pair."""

import copy

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from pyg_agfn.nn import AGFN
from pyg_agfn.nn.graph_normalizer import normalize_features
from pyg_agfn.nn.tiled_normalizer import _normalize_expected, normalize_in_tiles
from pyg_agfn.transforms import PoissonEdges, SimilarityEdges, ThresholdEdges

BATCHES = [None, torch.tensor([0, 0, 0, 1, 1, 1, 1, 1, 2, 4, 4])]


def both_ways(edges: SimilarityEdges, batch: Tensor | None, mode: str) -> list[list[Tensor]]:
    """Output and gradients of h, alpha and beta, dense and in tiles."""
    found = []
    for tiled in (False, True):
        torch.manual_seed(0)
        x = torch.randn(11, 5).double()
        x[4] = 0  # a zero vector has cosine 0 to everything
        h = torch.randn(11, 3).double().requires_grad_()
        weight = torch.randn(edges_per_draw(edges, mode), 11, 3).double()
        own = copy.deepcopy(edges)
        torch.manual_seed(7)
        if tiled:
            out = normalize_in_tiles(h, x, own, batch, mode)
        else:
            out = normalize_features(h, own.adjacency(x, batch, mode))
        (weight * out).square().sum().backward()
        grads = [p.grad for p in own.parameters()]
        found.append([out.detach(), h.grad, *grads])
    return found


def edges_per_draw(edges: SimilarityEdges, mode: str) -> int:
    return edges.num_samples if isinstance(edges, PoissonEdges) and mode == "sample" else 1


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("tile_size", [1, 4, 11, None])
@pytest.mark.parametrize(
    ("mode", "estimator"),
    [("sample", "identity"), ("sample", "probability"), ("expectation", "identity")],
)
@pytest.mark.parametrize("average", [True, False])
def test_tiles_give_the_dense_values_and_gradients(batch, tile_size, mode, estimator, average):
    edges = PoissonEdges(
        1.5, 0.3, estimator=estimator, average=average, tile_size=tile_size
    ).double()
    dense, tiled = both_ways(edges, batch, mode)
    for one, other in zip(dense, tiled, strict=True):
        torch.testing.assert_close(other, one, atol=1e-12, rtol=1e-10)
    assert dense[2].abs() > 1e-6  # there is a gradient to compare


@pytest.mark.parametrize("batch", BATCHES)
def test_a_threshold_has_tiles_too(batch):
    dense, tiled = both_ways(ThresholdEdges(0.1, tile_size=3), batch, "sample")
    for one, other in zip(dense, tiled, strict=True):
        torch.testing.assert_close(other, one, atol=1e-12, rtol=1e-10)


def derivatives(edges: SimilarityEdges, batch: Tensor | None, mode: str, tiled: bool) -> list:
    """First, second and third derivatives by h, alpha and beta, each of a mix of those before."""
    torch.manual_seed(0)
    x, weight = torch.randn(7, 4).double(), torch.randn(7, 3).double()
    h = torch.randn(7, 3).double().requires_grad_()
    x[2] = 0
    own = copy.deepcopy(edges)
    torch.manual_seed(5)
    if tiled:
        out = normalize_in_tiles(h, x, own, batch, mode)
    else:
        out = normalize_features(h, own.adjacency(x, batch, mode))
    value, found = (weight * out).square().sum(), []
    for _ in range(3):
        grads = torch.autograd.grad(value, [h, *own.parameters()], create_graph=True)
        found += [grad.detach() for grad in grads]
        value = sum((grad.sin() * (k + 1)).sum() for k, grad in enumerate(grads))
    return found


@pytest.mark.parametrize("batch", [None, torch.tensor([0, 0, 1, 1, 1, 3, 3])])
@pytest.mark.parametrize("tile_size", [2, None])
@pytest.mark.parametrize(
    ("mode", "estimator"),
    [("sample", "identity"), ("sample", "probability"), ("expectation", "identity")],
)
@pytest.mark.parametrize("average", [True, False])
def test_derivatives_of_any_order_are_the_dense_ones(batch, tile_size, mode, estimator, average):
    edges = PoissonEdges(
        1.5, 0.3, estimator=estimator, average=average, tile_size=tile_size
    ).double()
    dense, tiled = (derivatives(edges, batch, mode, way) for way in (False, True))
    assert len(dense) == 9
    for one, other in zip(dense, tiled, strict=True):
        torch.testing.assert_close(other, one, atol=1e-12, rtol=1e-9)
    assert all(one.abs().max() > 1e-9 for one in dense)  # there is something to compare


@pytest.mark.parametrize("batch", [None, torch.tensor([0, 0, 1, 1, 1, 3, 3])])
def test_a_threshold_has_derivatives_of_any_order(batch):
    dense, tiled = (
        derivatives(ThresholdEdges(0.1, tile_size=3), batch, "sample", way) for way in (False, True)
    )
    for one, other in zip(dense, tiled, strict=True):
        torch.testing.assert_close(other, one, atol=1e-12, rtol=1e-9)


@pytest.mark.parametrize("estimator", ["identity", "probability"])
def test_a_second_derivative_is_the_difference_quotient_of_the_first(estimator):
    torch.manual_seed(0)
    x = torch.randn(5, 4).double()
    edges = PoissonEdges(1.5, 0.3, estimator=estimator, tile_size=2).double()

    def gradients(h: Tensor) -> tuple[Tensor, ...]:
        torch.manual_seed(5)
        out = normalize_in_tiles(h, x, edges)
        loss = out.square().sum()
        return torch.autograd.grad(loss, [h, edges.alpha, edges.beta], create_graph=True)

    h = torch.randn(5, 3).double().requires_grad_()
    assert torch.autograd.gradcheck(gradients, h)


def test_an_expected_graph_passes_gradgradcheck():
    torch.manual_seed(0)
    x, edges = torch.randn(5, 4).double(), PoissonEdges(average=False, tile_size=2).double()

    def loss(h: Tensor, alpha: Tensor, beta: Tensor) -> Tensor:
        tiles = edges.tiles(x)
        return _normalize_expected(h, tiles, alpha, beta).square().sum()

    inputs = [torch.randn(5, 3), torch.tensor(1.5), torch.tensor(0.4)]
    assert torch.autograd.gradgradcheck(loss, [i.double().requires_grad_() for i in inputs])


def test_several_draws_differ_and_have_the_dense_mean():
    """Several tiles draw in another order, so only the distribution is the same."""
    torch.manual_seed(0)
    x, h = torch.randn(9, 5), torch.randn(9, 3)
    edges = PoissonEdges(1.0, 0.2, num_samples=4000, tile_size=4)
    out = normalize_in_tiles(h, x, edges)
    assert out.shape == (4000, 9, 3)
    assert not torch.equal(out[0], out[1])
    degree = 1 + edges.adjacency(x).sum(-1)
    drawn = edges.draw_in_tiles(edges.tiles(x))
    counts = torch.stack([1 + torch.bincount(target, minlength=9) for _, target, _ in drawn])
    torch.testing.assert_close(counts.float().mean(0), degree.mean(0), atol=0.15, rtol=0)


def test_the_edges_of_one_draw_are_those_of_the_dense_matrix():
    torch.manual_seed(0)
    x = torch.randn(40, 6)
    edges = PoissonEdges(2.0, 0.0, tile_size=7)
    torch.manual_seed(3)
    dense = edges.adjacency(x)[0].detach()
    torch.manual_seed(3)
    ((source, target, similarity),) = edges.draw_in_tiles(edges.tiles(x))
    listed = torch.zeros(40, 40)
    listed[target, source] = 1
    assert torch.equal(listed, dense)
    expected = torch.nn.functional.cosine_similarity(x[target], x[source])
    torch.testing.assert_close(similarity, expected, atol=1e-6, rtol=1e-5)


def test_in_one_tile_the_edges_of_several_draws_are_those_of_the_dense_matrix():
    """A mini-batch is one tile."""
    x, batch = torch.randn(40, 6), torch.arange(40) // 25
    edges = PoissonEdges(2.0, 0.0, num_samples=4)
    torch.manual_seed(3)
    dense = edges.adjacency(x, batch).detach()
    torch.manual_seed(3)
    tiles = edges.tiles(x, batch)
    assert len(tiles) == 1
    listed = torch.zeros(4, 40, 40)
    for sample, (source, target, _) in zip(listed, edges.draw_in_tiles(tiles), strict=True):
        sample[target, source] = 1
    assert torch.equal(listed, dense)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("edges", [PoissonEdges(2.0, 0.3, num_samples=1), ThresholdEdges(0.2)])
def test_the_layer_is_the_same_in_tiles(training, edges):
    torch.manual_seed(0)
    dense = AGFN(10, 6, hidden_channels=8, edges=copy.deepcopy(edges)).double().train(training)
    tiled = copy.deepcopy(dense)
    tiled.propagation = "tiles"
    x = torch.randn(7, 10).double()
    outputs = []
    for layer in (dense, tiled):
        torch.manual_seed(3)
        outputs.append(layer(x))
        outputs[-1].square().sum().backward()
    torch.testing.assert_close(*outputs, atol=1e-10, rtol=0)
    for one, other in zip(dense.parameters(), tiled.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, atol=1e-10, rtol=1e-10)


def test_a_rate_of_nothing_has_the_slope_of_the_dense_matrix():
    edges = PoissonEdges(1.0, 0.0, estimator="probability").double()  # beside a zero vector: 0
    dense, tiled = both_ways(edges, None, "sample")
    for one, other in zip(dense, tiled, strict=True):
        torch.testing.assert_close(other, one, atol=1e-12, rtol=1e-10)


def test_draws_come_from_the_generator():
    x, found = torch.randn(9, 5), []
    for seed in (1, 1, 2):
        edges = PoissonEdges(generator=torch.Generator().manual_seed(seed), tile_size=4)
        found.append(edges.draw_in_tiles(edges.tiles(x))[0][0].tolist())
    assert found[0] == found[1] != found[2]


def test_tiles_are_as_many_rows_as_make_their_pairs(monkeypatch):
    monkeypatch.setattr("pyg_agfn.transforms.similarity_edges.TILE_PAIRS", 7)
    edges = PoissonEdges()
    for nodes, rows in ((0, 7), (1, 7), (2, 3), (3, 2), (9, 1)):
        tiles = edges.tiles(torch.randn(nodes, 5))
        assert tiles.size == rows
        assert len(tiles) == len(list(tiles)) == max(1, -(-nodes // rows))
        with pytest.raises(IndexError, match=f"^{len(tiles)}$"):
            tiles[len(tiles)]
    assert ThresholdEdges(tile_size=3).tiles(torch.randn(9, 5)).size == 3


def test_no_tile_holds_all_pairs():
    """The largest tensor made on the way has a tile's rows."""

    class Largest(TorchDispatchMode):
        numel = 0

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            out = func(*args, **(kwargs or {}))
            if isinstance(out, Tensor) and not out.is_sparse_csr:
                self.numel = max(self.numel, out.numel())
            return out

    torch.manual_seed(0)
    n, features = 600, 16
    x = torch.randn(n, features)
    for mode in ("sample", "expectation"):
        edges = PoissonEdges(8.0, -5.0, tile_size=20)
        h = torch.randn(n, features, requires_grad=True)
        with Largest() as largest:
            normalize_in_tiles(h, x, edges, mode=mode).square().sum().backward()
        assert edges.alpha.grad is not None
        assert largest.numel <= 20 * n, mode


def test_what_tiles_cannot_do_is_said():
    x = torch.randn(4, 3)
    with pytest.raises(ValueError, match=r'^feature_gradient=True needs propagation="dense"$'):
        normalize_in_tiles(x, x, PoissonEdges(feature_gradient=True))
    with pytest.raises(ValueError, match="tile_size must be an integer of at least 1, got 0"):
        PoissonEdges(tile_size=0)


def test_under_autocast_the_graph_is_in_full_precision():
    torch.manual_seed(0)
    layer = AGFN(10, 6, hidden_channels=8, propagation="tiles")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = layer(torch.randn(12, 10))
    out.float().square().sum().backward()
    assert torch.isfinite(layer.edges.alpha.grad)
    assert layer.edges.alpha.grad.abs() > 0
