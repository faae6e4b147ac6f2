import pytest
import torch
from torch_geometric.nn import GCNConv
from torch_geometric.utils import dense_to_sparse

from pyg_agfn.nn import GraphNormalizer, normalize_features
from pyg_agfn.transforms import ThresholdEdges


def eq_6(x: torch.Tensor, adj: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    degree = 1 + adj.sum(1)
    root = torch.diag(degree**-0.5)
    return root @ (adj + torch.eye(len(x), dtype=x.dtype)) @ root @ x @ weight


def edge_list(adj: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """J -> i for a_ij: dense_to_sparse takes the row for the source."""
    return dense_to_sparse(adj.t().contiguous())


@pytest.fixture
def graph():
    """Weighted, not symmetric, with some self-pairs and a node that nothing is joined to."""
    torch.manual_seed(0)
    adj = torch.rand(9, 9, dtype=torch.float64) * (torch.rand(9, 9) < 0.4)
    adj.diagonal()[:4] = 1.0
    adj[5] = 0
    return torch.randn(9, 6, dtype=torch.float64), adj


@pytest.fixture
def normalizer():
    torch.manual_seed(1)
    return GraphNormalizer(6, 4).double()


@pytest.mark.parametrize("form", ["edge list", "sparse", "dense"])
def test_is_eq_6(graph, normalizer, form):
    x, adj = graph
    expected = eq_6(x, adj, normalizer.conv.lin.weight.t())
    if form == "edge list":
        out = normalizer(x, *edge_list(adj))
    elif form == "sparse":
        out = normalizer(x, adj.to_sparse_csr())  # adj_t: the target in the row
    else:
        out = normalizer.dense_forward(x, adj.unsqueeze(0))
    torch.testing.assert_close(out, expected, atol=1e-10, rtol=0)


def test_edges_without_weights_weigh_one(graph, normalizer):
    x, adj = graph
    adj = (adj > 0).double()
    expected = eq_6(x, adj, normalizer.conv.lin.weight.t())
    out = normalizer(x, edge_list(adj)[0])
    torch.testing.assert_close(out, expected, atol=1e-10, rtol=0)


def test_a_drawn_self_pair_counts_beside_the_identity(normalizer):
    # One node with a_11 = 1: (1 + 1) / (1 + 1), where a dropped self-pair would leave 1 / 2.
    x = torch.randn(1, 6, dtype=torch.float64)
    loop = torch.zeros(2, 1, dtype=torch.long)
    torch.testing.assert_close(normalizer(x, loop), normalizer.conv.lin(x), atol=1e-12, rtol=0)
    # And among others: GCNConv's own self-loops give another answer, and the wrong one.
    x = torch.randn(2, 6, dtype=torch.float64)
    edges = torch.tensor([[0, 1], [0, 0]])  # 0 -> 0 and 1 -> 0
    adj = torch.tensor([[1.0, 1.0], [0.0, 0.0]], dtype=torch.float64)
    expected = eq_6(x, adj, normalizer.conv.lin.weight.t())
    torch.testing.assert_close(normalizer(x, edges), expected, atol=1e-10, rtol=0)
    plain = GCNConv(6, 4, bias=False).double()
    plain.lin.weight = normalizer.conv.lin.weight
    assert (plain(x, edges) - expected).abs().max() > 1e-3


def test_without_edges_each_sample_keeps_to_itself(normalizer):
    x = torch.randn(3, 6, dtype=torch.float64)
    expected = x @ normalizer.conv.lin.weight.t()
    none = torch.empty(2, 0, dtype=torch.long)
    torch.testing.assert_close(normalizer(x, none), expected, atol=1e-12, rtol=0)
    torch.testing.assert_close(normalizer.dense_forward(x, None), expected, atol=1e-12, rtol=0)


def test_gradients_of_both_forms_agree(graph, normalizer):
    x, adj = graph
    index, weight = edge_list(adj)
    inputs = (x.requires_grad_(), weight.requires_grad_(), normalizer.conv.lin.weight)
    target = torch.randn(9, 4, dtype=torch.float64)
    sparse = torch.autograd.grad((normalizer(x, index, weight) * target).sum(), inputs)
    dense_adj = adj.clone().requires_grad_()
    inputs = (x, dense_adj, normalizer.conv.lin.weight)
    dense = torch.autograd.grad(
        (normalizer.dense_forward(x, dense_adj.unsqueeze(0)) * target).sum(), inputs
    )
    torch.testing.assert_close(sparse[0], dense[0], atol=1e-10, rtol=0)
    torch.testing.assert_close(sparse[1], dense[1][index[1], index[0]], atol=1e-10, rtol=0)
    torch.testing.assert_close(sparse[2], dense[2], atol=1e-10, rtol=0)
    assert (dense[1][adj == 0].abs() > 1e-8).all()  # pairs that no edge list has


def test_dense_propagation_passes_gradcheck():
    torch.manual_seed(0)
    h = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    adj = torch.rand(2, 4, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(normalize_features, (h, adj))


def test_several_draws_come_one_after_the_other(normalizer):
    x = torch.randn(5, 6, dtype=torch.float64)
    adj = (torch.rand(3, 5, 5) < 0.5).double()
    together = normalizer.dense_forward(x, adj)
    apart = torch.cat([normalizer.dense_forward(x, a.unsqueeze(0)) for a in adj])
    torch.testing.assert_close(together, apart, atol=1e-12, rtol=0)
    blocks = normalizer(x.repeat(3, 1), *edge_list(torch.block_diag(*adj)))
    torch.testing.assert_close(together, blocks, atol=1e-10, rtol=0)


def test_bias_is_added_in_both_forms(graph):
    x, adj = graph
    normalizer = GraphNormalizer(6, 4, bias=True).double()
    torch.nn.init.normal_(normalizer.conv.bias)
    expected = eq_6(x, adj, normalizer.conv.lin.weight.t()) + normalizer.conv.bias
    for out in (normalizer(x, *edge_list(adj)), normalizer.dense_forward(x, adj.unsqueeze(0))):
        torch.testing.assert_close(out, expected, atol=1e-10, rtol=0)
    edges = ThresholdEdges(0.1)
    tiled, dense = (
        normalizer.tiled_forward(x, edges),
        normalizer.dense_forward(x, edges.adjacency(x)),
    )
    torch.testing.assert_close(tiled, dense, atol=1e-10, rtol=0)
    assert GraphNormalizer(6, 4).conv.bias is None  # Eq. 6 has none
    before = normalizer.conv.lin.weight.clone()
    normalizer.reset_parameters()
    assert not torch.equal(before, normalizer.conv.lin.weight)


def test_under_autocast_degrees_are_not_rounded():
    # 308 neighbours: bfloat16 rounds a degree of 309 to 308.
    h = torch.randn(308, 8)
    adj = torch.ones(1, 308, 308)

    def rounded_last(degree):
        weight = (adj[0] + torch.eye(308)) * degree.rsqrt() * degree.rsqrt()
        return weight.bfloat16() @ h.bfloat16()

    with torch.autocast("cpu", torch.bfloat16):
        out = normalize_features(h, adj)[0]
    assert torch.equal(out, rounded_last(torch.tensor(309.0)))
    assert not torch.equal(out, rounded_last(torch.tensor(308.0)))
