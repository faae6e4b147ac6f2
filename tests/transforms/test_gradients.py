"""The gradient of α and β: exact for the estimator, and the estimator against the truth."""

import itertools

import pytest
import torch
from torch import Tensor
from torch_geometric.data import Data

from pyg_agfn.nn import GraphNormalizer
from pyg_agfn.transforms import PoissonEdges, cosine_similarity, edge_probability


def dense_loss(x: Tensor, weight: Tensor, adj: Tensor, y: Tensor) -> Tensor:
    """Eq. 6 and Eq. 7 written down again, with matrices only; of one graph, or of each of many."""
    n = x.size(0)
    root = torch.diag_embed(1 / (1 + adj.sum(-1)) ** 0.5)
    normalized = root @ (adj + torch.eye(n, dtype=x.dtype)) @ root @ x @ weight
    return (normalized - y).square().sum((-2, -1))


def reference_gradient(x: Tensor, weight: Tensor, adj: Tensor, y: Tensor) -> tuple[float, float]:
    """Eq. 11 with Eq. 14 for one drawn graph, by a loop over the ordered pairs."""
    adj = adj.clone().requires_grad_()
    (to_pair,) = torch.autograd.grad(dense_loss(x, weight, adj, y), adj)
    n = x.size(0)
    alpha = beta = 0.0
    for i, j in itertools.product(range(n), repeat=2):
        alpha += float(to_pair[i, j] * (x[i] @ x[j]) / (x[i].norm() * x[j].norm()))
        beta += float(to_pair[i, j])
    return alpha / n**2, beta / n**2


def problem(n: int, seed: int) -> tuple[Tensor, GraphNormalizer, Tensor]:
    torch.manual_seed(seed)
    normalizer = GraphNormalizer(4, 3).double()
    return torch.randn(n, 4).double(), normalizer, torch.randn(n, 3).double()


@pytest.mark.parametrize("form", ["dense", "all pairs"])
@pytest.mark.parametrize("n", [1, 3, 6, 17])
def test_every_pair_reaches_alpha_and_beta(form, n):
    x, normalizer, y = problem(n, seed=n)
    transform = PoissonEdges(1.0, 0.1, pairs="all").double()
    torch.manual_seed(0)
    drawn = transform.adjacency(x).detach()[0]
    torch.manual_seed(0)
    if form == "dense":
        out = normalizer.dense_forward(x, transform.adjacency(x))
    else:
        data = transform(Data(x=x))
        out = normalizer(data.x, data.edge_index, data.edge_weight)
    (out - y).square().sum().backward()
    weight = normalizer.conv.lin.weight.detach().t()
    expected = reference_gradient(x, weight, drawn, y)
    got = (transform.alpha.grad.item(), transform.beta.grad.item())
    assert got == pytest.approx(expected, abs=1e-10, rel=1e-10)


def test_an_edge_list_of_the_drawn_pairs_loses_the_others():
    x, normalizer, y = problem(6, seed=0)
    transform = PoissonEdges(1.0, 0.1, average=False).double()
    torch.manual_seed(0)
    data = transform(Data(x=x))
    (normalizer(data.x, data.edge_index, data.edge_weight) - y).square().sum().backward()
    sampled_only = transform.beta.grad.item()

    adj = torch.zeros(6, 6).double()
    adj[data.edge_index[1], data.edge_index[0]] = 1
    adj.requires_grad_()
    weight = normalizer.conv.lin.weight.detach().t()
    (to_pair,) = torch.autograd.grad(dense_loss(x, weight, adj, y), adj)
    assert sampled_only == pytest.approx(float((to_pair * adj).detach().sum()), abs=1e-10)
    unsampled = to_pair[adj == 0]
    assert unsampled.numel() > 0
    assert (unsampled.abs() > 1e-6).all()


def test_the_gradient_is_the_sum_over_the_draws():
    x, normalizer, y = problem(5, seed=1)
    transform = PoissonEdges(1.0, 0.1, num_samples=4).double()
    torch.manual_seed(3)
    adj = transform.adjacency(x)
    out = normalizer.dense_forward(x, adj)
    (out - y.repeat(4, 1)).square().sum().backward()
    weight = normalizer.conv.lin.weight.detach().t()
    expected = torch.tensor([reference_gradient(x, weight, a.detach(), y) for a in adj]).sum(0)
    got = torch.stack([transform.alpha.grad, transform.beta.grad])
    torch.testing.assert_close(got, expected.double(), atol=1e-6, rtol=1e-6)


def test_batched_graphs_average_over_their_own_pairs():
    x, normalizer, y = problem(5, seed=2)
    batch = torch.tensor([0, 0, 0, 1, 1])
    transform = PoissonEdges(1.0, 0.1).double()
    torch.manual_seed(3)
    adj = transform.adjacency(x, batch)
    (normalizer.dense_forward(x, adj) - y).square().sum().backward()
    weight = normalizer.conv.lin.weight.detach().t()
    total = 0.0
    for part, pairs in ((slice(0, 3), 9), (slice(3, 5), 4)):
        drawn = adj.detach()[0, part, part]
        total += reference_gradient(x[part], weight, drawn, y[part])[0] * pairs
    assert transform.alpha.grad.item() == pytest.approx(total / 13, abs=1e-10)


# ---- the estimator against the true gradient, over all 2^9 graphs of three nodes

GRAPHS = torch.tensor(list(itertools.product([0.0, 1.0], repeat=9))).view(-1, 3, 3).double()


def expectation_over_all_graphs(x, alpha, beta, loss):
    """E_A[loss(A)] as a differentiable function of α and β."""
    probability = edge_probability(alpha * cosine_similarity(x) + beta)
    chance = torch.where(GRAPHS == 1, probability, 1 - probability).flatten(1).prod(1)
    assert chance.sum().item() == pytest.approx(1.0, abs=1e-12)
    return (chance * loss(GRAPHS)).sum()


def mean_estimate(x, alpha, beta, estimator, loss, monkeypatch):
    """The estimator's mean, by giving every graph in the place of the draw."""
    transform = PoissonEdges(alpha, beta, estimator=estimator, average=False).double()
    probability = edge_probability(alpha * cosine_similarity(x) + beta)
    chance = torch.where(GRAPHS == 1, probability, 1 - probability).flatten(1).prod(1)
    monkeypatch.setattr("pyg_agfn.transforms.poisson_edges.sample_edges", lambda *_: GRAPHS)
    (chance * loss(transform.adjacency(x))).sum().backward()
    return torch.stack([transform.alpha.grad, transform.beta.grad])


def true_gradient(x, alpha, beta, loss):
    parameters = torch.tensor([alpha, beta], dtype=torch.float64, requires_grad=True)
    expectation_over_all_graphs(x, *parameters, loss).backward()
    return parameters.grad


def test_the_expectation_is_that_of_the_transform():
    x, _, _ = problem(3, seed=0)
    transform = PoissonEdges(1.0, 0.3, num_samples=40_000).double()
    torch.manual_seed(0)
    code = (transform.adjacency(x).detach().flatten(1) * 2.0 ** torch.arange(8, -1, -1)).sum(1)
    frequency = torch.bincount(code.long(), minlength=512) / 40_000
    probability = edge_probability(cosine_similarity(x) + 0.3)
    chance = torch.where(GRAPHS == 1, probability, 1 - probability).flatten(1).prod(1)
    five_sigma = 5 * (chance * (1 - chance) / 40_000).sqrt() + 1e-12
    assert ((frequency - chance).abs() <= five_sigma).all()


def test_by_the_probability_the_estimator_is_unbiased_where_the_loss_is_linear(monkeypatch):
    x, _, _ = problem(3, seed=4)
    slope = torch.randn(3, 3).double()
    loss = lambda adj: (slope * adj).sum((-2, -1))  # noqa: E731
    estimate = mean_estimate(x, 0.5, 1.0, "probability", loss, monkeypatch)
    torch.testing.assert_close(estimate, true_gradient(x, 0.5, 1.0, loss), atol=1e-10, rtol=1e-10)


def test_by_the_rate_the_estimator_leaves_out_the_slope_of_the_probability(monkeypatch):
    # Eq. 14 takes dP/dλ = exp(-λ) for 1: with a linear loss that is all it is off by.
    x, _, _ = problem(3, seed=4)
    slope = torch.randn(3, 3).double()
    loss = lambda adj: (slope * adj).sum((-2, -1))  # noqa: E731
    estimate = mean_estimate(x, 0.5, 1.0, "identity", loss, monkeypatch)
    similarity = cosine_similarity(x)
    expected = torch.stack([(slope * similarity).sum(), slope.sum()])
    torch.testing.assert_close(estimate, expected, atol=1e-10, rtol=1e-10)
    with_slope = slope * (-(0.5 * similarity + 1.0)).exp()
    truth = torch.stack([(with_slope * similarity).sum(), with_slope.sum()])
    torch.testing.assert_close(true_gradient(x, 0.5, 1.0, loss), truth, atol=1e-10, rtol=1e-10)


def test_bias_on_the_papers_loss_is_what_the_documentation_says(monkeypatch):
    # docs/gradients.md quotes these figures.
    identity, probability = [], []
    for seed in range(20):
        x, normalizer, y = problem(3, seed)
        weight = normalizer.conv.lin.weight.detach().t()
        loss = lambda adj, x=x, weight=weight, y=y: dense_loss(x, weight, adj, y)  # noqa: E731
        truth = true_gradient(x, 0.5, 1.0, loss)
        for estimator, found in (("identity", identity), ("probability", probability)):
            with monkeypatch.context() as patch:
                estimate = mean_estimate(x, 0.5, 1.0, estimator, loss, patch)
            cosine = torch.cosine_similarity(estimate, truth, dim=0)
            found.append((float(cosine), float(estimate.norm() / truth.norm())))
    # Medians over the problems: cosine to the true gradient, and length over the true length.
    assert torch.tensor(identity).median(0).values.tolist() == pytest.approx(
        (0.999, 2.58), abs=5e-3
    )
    assert torch.tensor(probability).median(0).values.tolist() == pytest.approx(
        (0.999, 1.064), abs=5e-3
    )
