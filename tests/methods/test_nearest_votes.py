import pytest
import torch

from pyg_agfn.methods import nearest_votes
from pyg_agfn.methods.nearest_votes import fitting_neighbors, neighbor_votes


@pytest.mark.parametrize("leave_out", [False, True])
@pytest.mark.parametrize("k", [1, 4, 100])
def test_votes_are_those_of_the_nearest(k, leave_out, monkeypatch):
    monkeypatch.setattr(nearest_votes, "BLOCK_PAIRS", 60)  # blocks of two images
    torch.manual_seed(0)
    x, labels = torch.randn(25, 3, dtype=torch.float64), torch.randint(0, 4, (25,))
    votes = neighbor_votes(x, labels, 4, k, leave_out)
    for i in range(25):
        others = [j for j in range(25) if not (leave_out and j == i)]
        nearest = sorted(others, key=lambda j: float((x[i] - x[j]).norm()))[:k]
        expected = [sum(int(labels[j]) == c for j in nearest) for c in range(4)]
        assert votes[i].tolist() == expected


def test_neighbours_are_at_most_half_of_a_class():
    assert fitting_neighbors(200, 50_000, 10) == 200
    assert fitting_neighbors(200, 1437, 10) == 71
    assert fitting_neighbors(200, 5, 10) == 1
