import math

import pytest
import torch
from torch_geometric.data import Batch, Data
from torch_geometric.transforms import BaseTransform, Compose, ToUndirected
from torch_geometric.utils import to_dense_adj

from pyg_agfn.transforms import (
    PoissonEdges,
    ThresholdEdges,
    cosine_similarity,
    edge_probability,
    poisson_rate,
    sample_edges,
    straight_through,
)


def adjacency_of(data: Data) -> torch.Tensor:
    """a_ij of an edge list j -> i: PyG's dense form has the source in the row."""
    return to_dense_adj(data.edge_index, edge_attr=data.edge_weight, max_num_nodes=data.num_nodes)[
        0
    ].t()


# ---- the equations


def test_edge_probability_is_one_minus_the_poisson_mass_at_zero():
    rate = torch.tensor([0.0, 1e-9, 0.5, 3.0, 50.0, math.inf], dtype=torch.float64)
    mass_at_zero = torch.distributions.Poisson(rate[2:5]).log_prob(torch.zeros(3)).exp()
    probability = edge_probability(rate)
    torch.testing.assert_close(probability[2:5], 1 - mass_at_zero, atol=1e-15, rtol=1e-12)
    assert probability[0] == 0
    assert probability[1] == pytest.approx(1e-9, rel=1e-8)  # 1 - exp(-1e-9) would lose this
    assert probability[5] == 1


def test_negative_rates_never_join():
    rate = torch.tensor([-1.0, 0.0, 0.5], requires_grad=True)
    edge_probability(rate).sum().backward()
    assert rate.grad.tolist() == [0, 0, pytest.approx(math.exp(-0.5))]
    assert edge_probability(torch.tensor([-1e-6, -3.0, -math.inf])).tolist() == [0, 0, 0]


def test_poisson_rate_is_linear_in_the_similarity():
    similarity = torch.tensor([-1.0, 0.0, 0.5])
    assert poisson_rate(similarity, 8.0, -4.0).tolist() == [-12.0, -4.0, 0.0]


def test_sampled_frequencies_are_the_probabilities():
    probability = torch.tensor([[0.0, 0.1, 0.5], [0.9, 1.0, 0.3], [0.7, 0.02, math.nan]])
    draws = sample_edges(probability, 20_000, torch.Generator().manual_seed(0))
    assert set(draws.unique().tolist()) == {0.0, 1.0}
    expected = probability.nan_to_num(0.0)
    five_sigma = 5 * (expected * (1 - expected) / 20_000).sqrt()
    assert ((draws.mean(0) - expected).abs() <= five_sigma).all()


def test_draws_are_as_fine_as_the_probabilities():
    probability = torch.rand(4, 5, dtype=torch.float64)
    noise = torch.rand(1, 4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    drawn = sample_edges(probability, generator=torch.Generator().manual_seed(2))
    assert torch.equal(drawn, (noise < probability).double())


def test_no_draw_joins_a_pair_of_probability_zero(monkeypatch):
    monkeypatch.setattr(torch, "rand", lambda size, **_: torch.zeros(size))
    assert sample_edges(torch.zeros(2, 2)).sum() == 0  # not even the smallest number drawn


def test_pairs_are_drawn_independently():
    draws = sample_edges(torch.full((3, 3), 0.4), 20_000, torch.Generator().manual_seed(1))
    correlation = torch.corrcoef(draws.flatten(1).t())
    assert (correlation - torch.eye(9)).abs().max() < 5 / math.sqrt(20_000)


@pytest.mark.parametrize("share", [1, 4, 12])
def test_shares_of_the_rows_are_those_of_the_whole_draw(share):
    probability = torch.rand(12, 12, generator=torch.Generator().manual_seed(2))
    whole = sample_edges(probability, 3, torch.Generator().manual_seed(3))
    parts = [
        sample_edges(probability[rows], 3, torch.Generator().manual_seed(3), rows)
        for rows in (slice(i, i + share) for i in range(0, 12, share))
    ]
    assert torch.equal(torch.cat(parts, dim=1), whole)


def test_straight_through_is_the_identity_backward_and_survives_an_infinite_target():
    sample = torch.tensor([[[1.0, 0.0]], [[0.0, 0.0]]])
    target = torch.tensor([[2.0, math.inf]], requires_grad=True)
    straight = straight_through(sample, target)
    assert torch.equal(straight, sample)
    straight.backward(torch.tensor([[[1.0, 2.0]], [[3.0, 4.0]]]))
    assert target.grad.tolist() == [[4.0, 6.0]]


# ---- the transform


def test_is_a_pyg_transform_with_two_parameters():
    transform = PoissonEdges(alpha=2.0, beta=-1.0)
    assert isinstance(transform, BaseTransform)
    assert {name: p.item() for name, p in transform.named_parameters()} == {
        "alpha": 2.0,
        "beta": -1.0,
    }
    assert repr(transform) == "PoissonEdges(alpha=2, beta=-1, num_samples=1, mode='sample')"


def test_works_in_compose_and_leaves_the_input_alone():
    data = Data(x=torch.randn(5, 3), y=torch.arange(5))
    out = Compose([PoissonEdges(3.0, 1.0), ToUndirected(reduce="max")])(data)
    assert data.edge_index is None
    assert out.is_undirected()
    assert out.validate()
    assert torch.equal(out.y, data.y)


def test_functional_name():
    from torch_geometric.data.datapipes import functional_transform

    with pytest.raises(Exception, match="poisson_edges"):
        functional_transform("poisson_edges")(PoissonEdges)  # the name is taken: by this class


def test_edge_list_holds_the_drawn_pairs_from_source_to_target():
    x = torch.randn(9, 4)
    transform = PoissonEdges(1.5, 0.2)
    torch.manual_seed(0)
    adj = transform.adjacency(x)[0]
    torch.manual_seed(0)
    data = transform(Data(x=x))
    assert not torch.equal(adj, adj.t())  # else the direction would not show
    assert torch.equal(adjacency_of(data), adj)
    assert data.edge_weight.unique().tolist() == [1.0]
    assert adj.diagonal().sum() > 0  # a sample may be joined to itself


def test_expectation_mode_has_the_probabilities_as_weights():
    x = torch.randn(6, 4, dtype=torch.float64)
    transform = PoissonEdges(2.0, 0.5, mode="expectation")
    expected = edge_probability(2 * cosine_similarity(x) + 0.5)
    first, second = transform(Data(x=x)), transform(Data(x=x))
    torch.testing.assert_close(adjacency_of(first), expected, atol=1e-12, rtol=0)
    assert torch.equal(first.edge_weight, second.edge_weight)
    assert first.num_edges == int((expected > 0).sum())


def test_no_edge_leaves_a_graph_of_the_batch():
    graphs = [Data(x=torch.randn(n, 4)) for n in (3, 1, 5)]
    data = PoissonEdges(0.0, 50.0)(Batch.from_data_list(graphs))  # P = 1 everywhere
    source, target = data.edge_index
    assert torch.equal(data.batch[source], data.batch[target])
    assert data.num_edges == 9 + 1 + 25


def test_batched_graphs_are_drawn_as_they_would_be_alone():
    graphs = [Data(x=torch.randn(n, 4, dtype=torch.float64)) for n in (3, 5)]
    transform = PoissonEdges(2.0, 0.5, mode="expectation")
    together = adjacency_of(transform(Batch.from_data_list(graphs)))
    apart = [adjacency_of(transform(graph)) for graph in graphs]
    torch.testing.assert_close(together, torch.block_diag(*apart), atol=1e-12, rtol=0)


@pytest.mark.parametrize(
    "edges", [PoissonEdges(2.0, 0.5, mode="expectation"), ThresholdEdges(0.1)], ids=repr
)
def test_some_rows_are_those_of_the_whole_matrix(edges):
    x, batch = torch.randn(6, 3), torch.tensor([0, 0, 0, 0, 1, 1])
    for graph in (None, batch):
        rows = edges.adjacency(x, graph, rows=slice(2, 5))
        torch.testing.assert_close(rows, edges.adjacency(x, graph)[:, 2:5])


def test_several_samples_are_one_block_diagonal_graph():
    x, y = torch.randn(7, 3), torch.arange(7)
    transform = PoissonEdges(1.0, 0.5, num_samples=3)
    torch.manual_seed(0)
    expected = transform.adjacency(x).detach()
    torch.manual_seed(0)
    data = transform(Data(x=x, y=y, name="kept"))
    assert data.num_nodes == 21
    assert torch.equal(adjacency_of(data), torch.block_diag(*expected))
    assert torch.equal(data.x, x.repeat(3, 1))
    assert torch.equal(data.y, y.repeat(3))
    assert data.batch.tolist() == [0] * 7 + [1] * 7 + [2] * 7
    assert data.name == "kept"
    assert len({tuple(block.flatten().tolist()) for block in expected}) == 3  # draws differ


def test_several_samples_of_a_batch_of_graphs():
    graphs = Batch.from_data_list([Data(x=torch.randn(n, 3)) for n in (2, 3)])
    data = PoissonEdges(0.0, 50.0, num_samples=2)(graphs)
    assert data.batch.tolist() == [0, 0, 1, 1, 1, 2, 2, 3, 3, 3]
    assert data.num_edges == 2 * (4 + 9)
    source, target = data.edge_index
    assert torch.equal(data.batch[source], data.batch[target])


def test_several_samples_keep_what_is_of_no_node_and_drop_the_edges_that_were():
    graphs = Batch.from_data_list([Data(x=torch.randn(3, 2)) for _ in range(2)])
    old = Data(
        x=graphs.x,
        edge_index=torch.zeros(2, 1, dtype=torch.long),
        edge_weight=torch.tensor([9.0]),
        edge_attr=torch.tensor([[9.0]]),
        batch=graphs.batch,
        ptr=graphs.ptr,
        year=torch.tensor([1, 2]),
        mark=torch.arange(6),
        names=list("abcdef"),
    )
    data = PoissonEdges(0.0, 50.0, num_samples=2)(old)
    assert data.num_edges == 2 * 18
    assert data.edge_weight.unique().tolist() == [1.0]
    assert data.edge_attr is None
    assert "ptr" not in data
    assert data.year.tolist() == [1, 2]
    assert data.mark.tolist() == [*range(6), *range(6)]
    assert data.names == 2 * list("abcdef")
    assert data.batch.unique(return_counts=True)[1].tolist() == [3] * 4


def test_one_sample_changes_nothing_but_the_edges():
    old = Data(x=torch.randn(3, 2), edge_attr=torch.ones(1, 1), year=torch.tensor([1]))
    data = PoissonEdges(0.0, 50.0)(old)
    assert set(data.keys()) == {"x", "year", "edge_index", "edge_weight"}
    assert data.x is old.x


def test_several_samples_of_no_node():
    data = PoissonEdges(num_samples=2)(Data(x=torch.ones(0, 3)))
    assert data.edge_index.shape == (2, 0)
    assert data.batch.dtype == torch.long


def test_seed_and_generator_make_the_draw_reproducible():
    data = Data(x=torch.randn(20, 4))

    def draw(seed: int | None, generator: torch.Generator | None = None) -> list[list[int]]:
        if seed is not None:
            torch.manual_seed(seed)
        return PoissonEdges(1.0, 0.3, generator=generator)(data).edge_index.tolist()

    assert draw(0) == draw(0) != draw(1)
    first = draw(5, torch.Generator().manual_seed(7))
    assert first == draw(6, torch.Generator().manual_seed(7))
    assert first != draw(5, torch.Generator().manual_seed(8))


# ---- where the paper is silent


def test_pairs_of_negative_rate_stay_apart_but_keep_their_gradient():
    x = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
    transform = PoissonEdges(50.0, 0.0, average=False)  # rates 50 and -50
    adj = transform.adjacency(x)
    assert adj[0].tolist() == [[1.0, 0.0], [0.0, 1.0]]
    adj[0, 0, 1].backward()
    assert (transform.alpha.grad.item(), transform.beta.grad.item()) == (-1.0, 1.0)


def test_estimator_of_the_probability_adds_its_slope():
    x = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    gradients = []
    for j in (1, 2):  # rates 0.3 and -1.7
        transform = PoissonEdges(2.0, 0.3, estimator="probability", average=False)
        transform.adjacency(x)[0, 0, j].backward()
        gradients.append(transform.beta.grad.item())
    assert gradients == pytest.approx([math.exp(-0.3), 0.0])


def test_zero_vectors_have_the_rate_beta():
    x = torch.zeros(4, 3, requires_grad=True)
    transform = PoissonEdges(9.0, 0.7, mode="expectation", feature_gradient=True)
    adj = transform.adjacency(x)
    torch.testing.assert_close(adj, torch.full((1, 4, 4), 1 - math.exp(-0.7)))
    adj.sum().backward()
    assert x.grad.isfinite().all()


def test_the_mean_over_one_pair_is_that_pair():
    transform = PoissonEdges(1.0, 0.0)
    transform.adjacency(torch.ones(1, 3)).sum().backward()
    assert (transform.alpha.grad.item(), transform.beta.grad.item()) == pytest.approx((1, 1))


@pytest.mark.parametrize(("beta", "edges"), [(50.0, [[0], [0]]), (-50.0, [[], []])])
def test_one_node_is_joined_at_most_to_itself(beta, edges):
    assert PoissonEdges(1.0, beta)(Data(x=torch.ones(1, 3))).edge_index.tolist() == edges


def test_no_node_has_no_edge():
    transform = PoissonEdges()
    data = transform(Data(x=torch.ones(0, 3)))
    assert data.edge_index.shape == (2, 0)
    data.edge_weight.sum().backward()
    assert transform.alpha.grad.item() == 0


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_weights_come_back_in_the_type_of_the_features(dtype):
    x = torch.randn(6, 32).to(dtype)
    data = PoissonEdges(1.0, 1.5, mode="expectation")(Data(x=x))
    assert data.edge_weight.dtype == dtype
    expected = edge_probability(cosine_similarity(x.double()) + 1.5)
    rounding = 2 * torch.finfo(dtype).eps + 1e-6
    assert (adjacency_of(data).double() - expected).abs().max() <= rounding


def test_features_get_no_gradient_unless_asked():
    x = torch.randn(4, 3, requires_grad=True)
    weight = PoissonEdges(1.0, 1.0, pairs="all")(Data(x=x)).edge_weight
    (gradient,) = torch.autograd.grad(weight.sum(), x, allow_unused=True)
    assert gradient is None
    weight = PoissonEdges(1.0, 1.0, pairs="all", feature_gradient=True)(Data(x=x)).edge_weight
    (gradient,) = torch.autograd.grad(weight.sum(), x)
    assert gradient.abs().max() > 0


@pytest.mark.parametrize(
    ("name", "value", "known"),
    [
        ("num_samples", 0, "an integer of at least 1"),
        ("mode", "mean", r"one of \('sample', 'expectation'\)"),
        ("estimator", "gumbel", r"one of \('identity', 'probability'\)"),
        ("pairs", "none", r"one of \('sampled', 'all'\)"),
    ],
)
def test_unknown_options_are_refused(name, value, known):
    with pytest.raises(ValueError, match=f"^{name} must be {known}, got {value!r}$"):
        PoissonEdges(**{name: value})


@pytest.mark.parametrize(
    ("x", "got"),
    [
        (None, "None"),
        (torch.ones(3), r"torch\.float32 of shape \[3\]"),
        (torch.ones(3, 2, dtype=torch.long), r"torch\.int64 of shape \[3, 2\]"),
    ],
)
def test_data_without_a_matrix_of_floats_is_refused(x, got):
    with pytest.raises(ValueError, match=rf"^data\.x must be a dense floating-point.*, got {got}$"):
        PoissonEdges()(Data(x=x, num_nodes=3))


def test_moves_to_another_type_with_its_parameters():
    transform = PoissonEdges().double()
    assert transform.alpha.dtype == torch.float64
    transform.load_state_dict({"alpha": torch.tensor(3.0), "beta": torch.tensor(-1.0)})
    assert transform.alpha.item() == 3
    transform.reset_parameters()
    assert (transform.alpha.item(), transform.beta.item()) == (1.0, 0.0)


# ---- the paper's Baseline-GCN


def test_threshold_edges_joins_what_is_more_similar():
    x = torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.0, 1.0], [-1.0, 0.0]])
    data = ThresholdEdges(0.5)(Data(x=x, batch=torch.tensor([0, 0, 0, 0])))
    expected = torch.tensor([[1, 1, 0, 0], [1, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 1]])
    assert torch.equal(adjacency_of(data).long(), expected)
    apart = ThresholdEdges(0.5)(Data(x=x, batch=torch.tensor([0, 1, 1, 2])))
    assert torch.equal(
        adjacency_of(apart).long(),
        torch.block_diag(*(expected[i, i] for i in [slice(0, 1), slice(1, 3), slice(3, 4)])),
    )
    assert list(ThresholdEdges().parameters()) == []
    assert repr(ThresholdEdges()) == "ThresholdEdges(threshold=0.5)"


def test_a_pair_at_the_threshold_is_not_above_it():
    edges, x = ThresholdEdges(0.0), torch.eye(3)
    assert torch.equal(edges.adjacency(x)[0], torch.eye(3))
    ((source, target, _),) = edges.draw_in_tiles(edges.tiles(x))
    assert source.tolist() == target.tolist() == [0, 1, 2]
