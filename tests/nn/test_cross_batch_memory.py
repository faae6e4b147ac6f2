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
        torch.tensor([4, 9, 2, 4, 30, 8]),
    )
    return memory


def test_the_opinion_is_the_neighbours_mean_without_the_image_itself(memory):
    edges = PoissonEdges(2.0, 0.3).double()
    z, index = torch.randn(4, 5, dtype=torch.float64), [4, 2, 77, 30]
    found = memory.opinion(edges, z, torch.tensor(index))
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
    found = memory.opinion(edges, torch.randn(2, 5).double(), torch.tensor([0, 1]))
    torch.testing.assert_close(found, torch.full((2, 3), 1 / 3, dtype=torch.float64))
    empty = CrossBatchMemory(4, 5, 3)
    found = empty.opinion(PoissonEdges(1.0, 1.0), torch.randn(2, 5), torch.tensor([0, 1]))
    torch.testing.assert_close(found, torch.full((2, 3), 1 / 3))


def test_its_gradient_is_that_of_the_probabilities(memory):
    z, index = torch.randn(3, 5, dtype=torch.float64), torch.tensor([4, 2, 30])

    def cost(alpha, beta):
        edges = PoissonEdges().double()
        del edges.alpha, edges.beta
        edges.alpha, edges.beta = alpha, beta
        return memory.opinion(edges, z, index).log().square().sum()

    given = [torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in (2.0, 0.4)]
    assert torch.autograd.gradcheck(cost, given)


def test_a_push_before_the_backward_pass_does_not_disturb_it(memory):
    edges = PoissonEdges(2.0, 0.3).double()
    index = torch.tensor([1, 2])
    z = torch.randn(2, 5, dtype=torch.float64)
    memory.opinion(edges, z, index).log().sum().backward()
    expected, edges.alpha.grad = edges.alpha.grad, None
    cost = memory.opinion(edges, z, index).log().sum()
    memory.push(z, torch.eye(3)[:2], index)
    cost.backward()
    assert torch.equal(edges.alpha.grad, expected)


@pytest.mark.parametrize("sizes", [(2, 3), (5, 5, 1), (4,), (9,), (3, 11)])
def test_the_oldest_are_forgotten(sizes):
    memory = CrossBatchMemory(5, 1, 2)
    pushed = []
    for size in sizes:
        index = torch.arange(len(pushed), len(pushed) + size)
        memory.push(torch.ones(size, 1), torch.eye(2)[index % 2], index)
        pushed += index.tolist()
    assert sorted(i for i in memory.index.tolist() if i >= 0) == pushed[-5:]
    for i, target in zip(memory.index.tolist(), memory.targets, strict=True):
        assert i < 0 or target[i % 2] == 1


def test_any_graph_of_similarities_can_ask_it():
    memory = CrossBatchMemory(3, 2, 2)
    memory.push(
        torch.tensor([[1.0, 0.0], [2.0, 0.1], [0.0, 1.0]]), torch.eye(2)[[0, 0, 1]], torch.arange(3)
    )
    found = memory.opinion(ThresholdEdges(0.5), torch.tensor([[5.0, 0.0]]), torch.tensor([9]))
    torch.testing.assert_close(found, torch.tensor([[1.0, 0.0]]), atol=1e-3, rtol=0)


def test_the_noise_rate_is_what_the_surest_neighbourhoods_disagree_by():
    torch.manual_seed(0)
    memory = CrossBatchMemory(80, 4, 3).double()
    z = torch.randn(70, 4, dtype=torch.float64) + torch.tensor([1.0, 0, 0, 0])
    targets = torch.eye(3, dtype=torch.float64)[torch.randint(3, (70,))]
    index = torch.arange(70) % 65  # some images are remembered twice
    memory.push(z, targets, index)
    edges = PoissonEdges(2.0, -0.2).double()
    unit = (z / z.norm(dim=1, keepdim=True)).tolist()
    surest = []
    for i in range(70):
        weights, votes = [], [1e-3 / 3] * 3
        for m in range(70):
            if int(index[m]) == int(index[i]):
                continue
            cosine = sum(p * q for p, q in zip(unit[i], unit[m], strict=True))
            weights.append(1 - math.exp(-max(2.0 * cosine - 0.2, 0)))
            votes[int(targets[m].argmax())] += weights[-1]
        if sum(weights) ** 2 >= 30 * sum(w * w for w in weights):
            surest.append(max(votes) / (sum(weights) + 1e-3))
    assert 10 < len(surest) < 70  # some have too few neighbours to be asked
    expected = 1 - torch.tensor(surest, dtype=torch.float64).quantile(0.97)
    assert memory.noise_rate(edges) == pytest.approx(float(expected), abs=1e-8)


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.4])
def test_the_noise_rate_of_separate_classes_is_found(rate):
    torch.manual_seed(1)
    count, num_classes = 3000, 4
    true = torch.arange(count) % num_classes
    wrong = torch.rand(count) < rate
    labels = (true + wrong * torch.randint(1, num_classes, (count,))) % num_classes
    memory = CrossBatchMemory(count, 8, num_classes)
    z = 4 * torch.eye(8)[true] + torch.randn(count, 8)
    memory.push(z, torch.eye(num_classes)[labels], torch.arange(count))
    # Of 750 labels of a class the share that is right has a standard deviation of 0.018.
    assert memory.noise_rate(PoissonEdges(8.0, -4.0)) == pytest.approx(rate, abs=0.055)


def test_a_noise_rate_is_not_told_from_few_neighbours():
    memory = CrossBatchMemory(100, 2, 2)
    assert memory.noise_rate(PoissonEdges(1.0, 1.0)) == 1.0
    memory.push(torch.ones(30, 2), torch.eye(2)[[0] * 30], torch.arange(30))
    assert memory.noise_rate(PoissonEdges(1.0, 1.0)) == 1.0  # 29 are others
    memory.push(torch.ones(1, 2), torch.eye(2)[[0]], torch.tensor([30]))
    assert memory.noise_rate(PoissonEdges(1.0, 1.0)) == pytest.approx(0.0, abs=1e-4)
    assert memory.noise_rate(PoissonEdges(1.0, -1.0)) == 1.0  # no edge at all


def test_a_memory_of_nothing_is_refused():
    with pytest.raises(ValueError, match="size=0"):
        CrossBatchMemory(0, 4, 2)
