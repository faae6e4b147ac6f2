import math

import pytest
import torch

from pyg_agfn.nn import CrossBatchMemory
from pyg_agfn.transforms import PoissonEdges, ThresholdEdges


@pytest.fixture
def memory():
    torch.manual_seed(0)
    memory = CrossBatchMemory(7, 5, 3).double()
    memory.push(
        3 * torch.randn(6, 5, dtype=torch.float64),
        torch.rand(6, 3, dtype=torch.float64).softmax(1),
        torch.tensor([2, 0, 1, 1, 2, 0]),
        torch.rand(6, dtype=torch.float64),
        torch.tensor([4, 9, 2, 4, 30, 8]),
    )
    return memory


def test_the_opinion_is_the_neighbours_mean_without_the_image_itself(memory):
    edges = PoissonEdges(2.0, 0.3).double()
    z, index = torch.randn(4, 5, dtype=torch.float64), [4, 2, 77, 30]
    found = memory.posterior(edges, z, torch.tensor(index))
    for i in range(4):
        total, votes = 1e-3, torch.full((3,), 1e-3 / 3, dtype=torch.float64)
        for m in range(6):
            if int(memory.index[m]) == index[i]:
                continue
            a, b = z[i].tolist(), memory.features[m].tolist()
            product = sum(p * q for p, q in zip(a, b, strict=True))
            cosine = product / math.hypot(*a) / math.hypot(*b)
            weight = 1 - math.exp(-max(2.0 * cosine + 0.3, 0))
            total += weight
            votes += weight * memory.targets[m]
        torch.testing.assert_close(found[i], votes / total)
    torch.testing.assert_close(found.sum(1), torch.ones(4, dtype=torch.float64))


def test_who_has_no_neighbour_has_no_opinion(memory):
    edges = PoissonEdges(0.0, -1.0).double()
    found = memory.posterior(edges, torch.randn(2, 5).double(), torch.tensor([0, 1]))
    torch.testing.assert_close(found, torch.full((2, 3), 1 / 3, dtype=torch.float64))
    empty = CrossBatchMemory(4, 5, 3)
    found = empty.posterior(PoissonEdges(1.0, 1.0), torch.randn(2, 5), torch.tensor([0, 1]))
    torch.testing.assert_close(found, torch.full((2, 3), 1 / 3))


def test_its_gradient_is_that_of_the_probabilities(memory):
    z, index = torch.randn(3, 5, dtype=torch.float64), torch.tensor([4, 2, 30])

    def cost(alpha, beta):
        edges = PoissonEdges().double()
        del edges.alpha, edges.beta
        edges.alpha, edges.beta = alpha, beta
        return memory.posterior(edges, z, index).log().square().sum()

    given = [torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in (2.0, 0.4)]
    assert torch.autograd.gradcheck(cost, given)


def test_a_push_before_the_backward_pass_does_not_disturb_it(memory):
    edges = PoissonEdges(2.0, 0.3).double()
    index = torch.tensor([1, 2])
    z = torch.randn(2, 5, dtype=torch.float64)
    memory.posterior(edges, z, index).log().sum().backward()
    expected, edges.alpha.grad = edges.alpha.grad, None
    cost = memory.posterior(edges, z, index).log().sum()
    memory.push(z, torch.eye(3)[:2], torch.tensor([0, 1]), torch.zeros(2), index)
    cost.backward()
    assert torch.equal(edges.alpha.grad, expected)


@pytest.mark.parametrize("sizes", [(2, 3), (5, 5, 1), (4,), (9,), (3, 11)])
def test_the_oldest_are_forgotten(sizes):
    memory = CrossBatchMemory(5, 1, 2)
    pushed = []
    for size in sizes:
        index = torch.arange(len(pushed), len(pushed) + size)
        memory.push(torch.ones(size, 1), torch.eye(2)[index % 2], index % 2, 1 / (1 + index), index)
        pushed += index.tolist()
    assert sorted(i for i in memory.index.tolist() if i >= 0) == pushed[-5:]
    for i, target in zip(memory.index.tolist(), memory.targets, strict=True):
        assert i < 0 or target[i % 2] == 1
    filled = memory.index >= 0
    assert torch.equal(memory.labels[filled], memory.index[filled] % 2)
    assert torch.equal(memory.disagreement[filled], 1 / (1 + memory.index[filled]))
    assert (memory.disagreement[~filled] == -1).all()


def test_any_graph_of_similarities_can_ask_it():
    memory = CrossBatchMemory(3, 2, 2)
    labels = torch.tensor([0, 0, 1])
    z = torch.tensor([[1.0, 0.0], [2.0, 0.1], [0.0, 1.0]])
    memory.push(z, torch.eye(2)[labels], labels, torch.zeros(3), torch.arange(3))
    found = memory.posterior(ThresholdEdges(0.5), torch.tensor([[5.0, 0.0]]), torch.tensor([9]))
    torch.testing.assert_close(found, torch.tensor([[1.0, 0.0]]), atol=1e-3, rtol=0)


def test_of_what_is_remembered_it_has_an_opinion_too(memory):
    edges = PoissonEdges(2.0, 0.3).double()
    opinion, labels = memory.posteriors(edges)
    assert labels.tolist() == [2, 0, 1, 1, 2, 0]  # a place is free
    expected = memory.posterior(edges, memory.features[:6], memory.index[:6])
    torch.testing.assert_close(opinion, expected)
    assert not opinion.requires_grad


def test_a_memory_of_nothing_is_refused():
    for size in (0, 2.5, True):
        with pytest.raises(ValueError, match=f"^size must be .* at least 1, got {size}$"):
            CrossBatchMemory(size, 4, 2)
