"""Batches of no sample, features of no column, and what cannot be computed with at all."""

import copy

import numpy as np
import pytest
import torch
from torch import Tensor
from torch_geometric.data import Data

from pyg_agfn.nn import (
    AGFN,
    CrossBatchMemory,
    GraphNormalizer,
    ReferenceBank,
    choose_references,
    normalize_features,
)
from pyg_agfn.nn.reference_bank import expected_degree
from pyg_agfn.nn.tiled_normalizer import normalize_in_tiles
from pyg_agfn.transforms import PoissonEdges, ThresholdEdges, cosine_similarity

PROPAGATIONS = ["dense", "edges", "tiles"]
HALVES = [torch.bfloat16, torch.float16]


def layer(propagation: str = "dense", **options) -> AGFN:
    torch.manual_seed(0)
    edges = PoissonEdges(2.0, 0.3, **options)
    return AGFN(10, 6, hidden_channels=8, edges=edges, propagation=propagation)


def features(n: int) -> Tensor:
    return torch.randn(n, 10, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("propagation", PROPAGATIONS)
@pytest.mark.parametrize("eval_mode", ["expectation", "sample"])
@pytest.mark.parametrize("batch", [None, torch.zeros(0, dtype=torch.long)])
def test_no_sample_has_no_answer(propagation, eval_mode, batch):
    agfn = layer(propagation, num_samples=2).eval()
    agfn.eval_mode = eval_mode
    x = torch.zeros(0, 10, requires_grad=True)
    out = agfn(x, batch)
    assert out.shape == (0, 6)
    out.sum().backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in agfn.parameters())
    with pytest.raises(ValueError, match=r"^x has no sample: training needs"):
        agfn.train()(x)
    assert all(b.isfinite().all() for b in agfn.buffers())


@pytest.mark.parametrize("num_samples", [1, 3])
@pytest.mark.parametrize("nodes", [0, 4])
def test_no_node_and_no_column(num_samples, nodes):
    """Features of no column are zero vectors: all rates are beta."""
    edges = PoissonEdges(2.0, 50.0, num_samples=num_samples, tile_size=3)
    x = torch.zeros(nodes, 0)
    assert cosine_similarity(x).tolist() == torch.zeros(nodes, nodes).tolist()
    assert edges.adjacency(x).sum() == num_samples * nodes**2
    drawn = edges.draw_in_tiles(edges.tiles(x))
    assert [len(source) for source, _, _ in drawn] == [nodes**2] * num_samples
    assert edges(Data(x=x)).num_edges == num_samples * nodes**2
    h = torch.randn(nodes, 2)
    for mode, draws in (("sample", num_samples), ("expectation", 1)):
        tiled = normalize_in_tiles(h, x, edges, mode=mode)
        torch.testing.assert_close(tiled, normalize_features(h, edges.adjacency(x, mode=mode)))
        assert tiled.shape == (draws, nodes, 2)


@torch.no_grad()
def test_a_bank_and_a_memory_of_no_query():
    agfn = layer().eval()
    bank = ReferenceBank.from_features(agfn, features(4))
    assert bank(torch.zeros(0, 10)).shape == (0, 6)
    assert expected_degree(agfn, torch.zeros(0, 8)).shape == (0,)
    memory, none = CrossBatchMemory(5, 8, 3), torch.zeros(0, dtype=torch.long)
    memory.push(torch.zeros(0, 8), torch.zeros(0, 3), none, torch.zeros(0), none)
    assert memory.written == 0
    assert memory.posterior(agfn.edges, torch.zeros(0, 8), none).shape == (0, 3)
    assert [len(part) for part in memory.posteriors(agfn.edges)] == [0, 0]
    for size in (0, 2.5, True):
        with pytest.raises(ValueError, match=f"^size must be .* at least 1, got {size}$"):
            choose_references(None, torch.zeros(0, 8), none, size)
    for choice in ("random", "class-balanced"):
        assert choose_references(None, torch.zeros(0, 8), none, 3, choice).tolist() == []


@torch.no_grad()
@pytest.mark.parametrize("dtype", [*HALVES, torch.float64])
def test_a_bank_and_a_memory_that_are_moved_to_another_type(dtype):
    agfn, x = layer().eval(), features(5)
    bank = ReferenceBank.from_features(agfn, torch.randn(40, 10))
    expected = copy.deepcopy(bank)(x)
    out = bank.to(dtype)(x.to(dtype))
    assert out.dtype == dtype
    rounding = max(torch.finfo(dtype).eps, 1e-6)
    assert (out.float() - expected).abs().max() < 16 * rounding * expected.abs().max()
    assert all(part.isfinite().all() for part in bank.weights(x.to(dtype)))

    memory, z, index = CrossBatchMemory(9, 8, 3), torch.randn(7, 8), torch.arange(7)
    targets = torch.eye(3)[index % 3]
    memory.push(z, targets, index % 3, torch.zeros(7), index)
    edges = PoissonEdges(2.0, 0.3)
    expected = memory.posterior(edges, z, index)
    found = memory.to(dtype).posterior(edges.to(dtype), z.to(dtype), index)
    assert (found.float() - expected).abs().max() < 16 * rounding
    memory.push(z.to(dtype), targets.to(dtype), index % 3, torch.zeros(7), index)


def test_the_dense_layer_has_shapes_on_the_meta_device():
    agfn = layer("dense", num_samples=2).to("meta")
    assert agfn(torch.zeros(5, 10, device="meta")).shape == (10, 6)
    for propagation in ("edges", "tiles"):
        agfn.propagation = propagation
        with pytest.raises(ValueError, match=r"^x is on the meta device.*propagation=\"dense\""):
            agfn(torch.zeros(5, 10, device="meta"))


NO_FEATURES = {
    "one dimension": torch.zeros(4),
    "whole numbers": torch.zeros(4, 10, dtype=torch.long),
    "complex": torch.zeros(4, 10, dtype=torch.complex64),
    "sparse": torch.zeros(4, 10).to_sparse_csr(),
    "nested": torch.nested.nested_tensor([torch.zeros(2, 10), torch.zeros(3, 10)]),
    "no tensor": [[0.0] * 10] * 4,
}


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
@pytest.mark.parametrize("kind", NO_FEATURES)
def test_what_are_no_features_is_refused_by_name(kind):
    x, agfn = NO_FEATURES[kind], layer().eval()
    bank = ReferenceBank.from_features(agfn, features(4))
    memory, index = CrossBatchMemory(5, 10, 3), torch.arange(4)
    asked = [
        ("x", agfn),
        ("x", PoissonEdges().adjacency),
        ("x", ThresholdEdges().adjacency),
        ("x", PoissonEdges().tiles),
        ("x", bank),
        ("features", lambda x: ReferenceBank.from_features(agfn, x)),
        ("projected", lambda x: ReferenceBank(agfn, x)),
        ("z", lambda x: memory.posterior(agfn.edges, x, index)),
        ("features", lambda x: memory.push(x, torch.zeros(4, 3), index, index, index)),
    ]
    for name, function in asked:
        with pytest.raises(ValueError, match=f"^{name} must be a dense floating-point tensor of"):
            function(x)


@pytest.mark.parametrize("propagation", PROPAGATIONS)
def test_rows_that_are_not_contiguous(propagation):
    agfn, x = layer(propagation).eval(), features(9)
    strided = x.t().contiguous().t()[::2]
    assert not strided.is_contiguous()
    torch.testing.assert_close(agfn(strided), agfn(x[::2].clone()))


@pytest.mark.parametrize("propagation", PROPAGATIONS)
def test_a_batch_that_does_not_fit_is_refused(propagation):
    agfn, x = layer(propagation).eval(), features(4)
    for batch in (
        torch.zeros(1, dtype=torch.long),  # would be as good as no batch
        torch.zeros(5, dtype=torch.long),
        torch.zeros(4),
        torch.zeros(4, dtype=torch.bool),
        torch.zeros(4, 1, dtype=torch.long),
        torch.zeros(4, dtype=torch.long, device="meta"),
        [0, 0, 1, 1],
    ):
        with pytest.raises(ValueError, match=r"^batch must be a tensor of integers of shape \[4\]"):
            agfn(x, batch)
    apart = agfn(x, torch.tensor([0, 0, 1, 1]))
    for same in (torch.tensor([-3, -3, 7, 7]), torch.tensor([5, 5, 2, 2], dtype=torch.int32)):
        torch.testing.assert_close(agfn(x, same), apart)


def test_a_memory_refuses_another_number_of_samples():
    memory, index = CrossBatchMemory(5, 2, 3), torch.arange(4)
    x, targets = torch.zeros(4, 2), torch.zeros(4, 3)
    with pytest.raises(ValueError, match=r"^labels must be of 4 samples .*, got 1$"):
        memory.push(x, targets, index[:1], index, index)
    with pytest.raises(ValueError, match=r"^index must be a tensor of integers of shape \[4\]"):
        memory.posterior(PoissonEdges(), x, index[:1])


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("num_samples", 1.5, "an integer of at least 1"),
        ("num_samples", True, "an integer of at least 1"),
        ("tile_size", 2.5, "an integer of at least 1"),
        ("alpha", "2", "a finite number"),
        ("alpha", torch.tensor(2.0), "a finite number"),
        ("beta", True, "a finite number"),
        ("beta", None, "a finite number"),
    ],
)
def test_options_of_another_kind_are_refused(name, value, said):
    with pytest.raises(ValueError, match=rf"^{name} must be {said}, got "):
        PoissonEdges(**{name: value})
    with pytest.raises(ValueError, match=r"^threshold must be a finite number, got nan$"):
        ThresholdEdges(float("nan"))
    assert PoissonEdges(np.float32(2), np.int64(1), np.int64(2)).alpha.item() == 2


@pytest.mark.parametrize("propagation", PROPAGATIONS)
def test_an_unknown_mode_is_refused_where_it_is_given(propagation):
    agfn, x = layer(propagation).eval(), features(4)
    agfn.eval_mode = "mean"
    with pytest.raises(ValueError, match=r"^mode must be one of .*, got 'mean'$"):
        agfn(x)


def test_a_sparse_graph_takes_no_second_weights():
    normalizer, adj = GraphNormalizer(2, 2), torch.eye(3).to_sparse_csr()
    with pytest.raises(ValueError, match=r"^edge_weight must be None.*sparse"):
        normalizer(torch.ones(3, 2), adj, torch.ones(3))
