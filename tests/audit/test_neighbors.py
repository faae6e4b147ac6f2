import math

import pytest
import torch

from pyg_agfn.audit.neighbors import NUM_NEAREST, PRIOR, find_neighbors
from pyg_agfn.errors import InputError
from pyg_agfn.transforms import PoissonEdges


@pytest.fixture
def made():
    torch.manual_seed(0)
    return torch.randn(90, 5), torch.arange(90) % 4


def cosine(a, b):
    return float(a @ b / (a.norm() * b.norm()))


def nearest(features, i, among):
    others = [m for m in among if m != i]
    return sorted(others, key=lambda m: -cosine(features[i], features[m]))


@pytest.mark.parametrize("k", [1, 7, 50, 200])
def test_the_k_nearest_vote_without_the_image_itself(made, k):
    features, labels = made
    found = find_neighbors(features, labels, 4, k)
    for i in range(90):
        order = nearest(features, i, range(90))
        assert found.nearest[i].tolist() == order[:NUM_NEAREST]
        votes = [sum(int(labels[m]) == c for m in order[:k]) for c in range(4)]
        total = sum(votes)
        expected = [(v + PRIOR / 4) / (total + PRIOR) for v in votes]
        assert found.posterior[i].tolist() == pytest.approx(expected, abs=1e-6)


def test_a_graph_weighs_all_others_by_their_expected_edges(made):
    features, labels = made
    found = find_neighbors(features, labels, 4, edges=PoissonEdges(8.0, -4.0)).posterior
    for i in range(90):
        votes = [0.0] * 4
        for m in range(90):
            rate = max(8 * cosine(features[i], features[m]) - 4, 0)
            votes[int(labels[m])] += (m != i) * (1 - math.exp(-rate))
        expected = [(v + PRIOR / 4) / (sum(votes) + PRIOR) for v in votes]
        assert found[i].tolist() == pytest.approx(expected, abs=1e-4)


def test_blocks_change_nothing(made, monkeypatch):
    whole = find_neighbors(*made, 4)
    monkeypatch.setattr("pyg_agfn.audit.neighbors.BLOCK_PAIRS", 7 * 90)
    parts = find_neighbors(*made, 4)
    assert torch.equal(whole.nearest, parts.nearest)
    assert torch.allclose(whole.posterior, parts.posterior)


def test_of_many_images_some_are_looked_at_and_none_meets_itself(made):
    features, labels = made
    found = find_neighbors(features, labels, 4, k=3, max_references=40)
    references = sorted(set(found.nearest.flatten().tolist()))
    assert len(references) == 40
    for i in range(90):
        assert found.nearest[i].tolist() == nearest(features, i, references)[:NUM_NEAREST]


def test_an_image_of_no_feature_has_a_posterior(made):
    features, labels = made
    features[0] = 0
    posterior = find_neighbors(features, labels, 4, edges=PoissonEdges(8.0, -4.0)).posterior
    assert posterior[0].tolist() == pytest.approx([0.25] * 4)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"features": torch.zeros(90)}, r"features must be floats of shape \(N, F\)"),
        ({"features": torch.zeros(90, 3).long()}, "features must be floats"),
        ({"features": [1, 2]}, "features must be a tensor, got list"),
        ({"features": torch.full((90, 2), math.nan)}, "features of image 0 are not finite"),
        ({"labels": torch.zeros(89).long()}, r"labels must be integers of shape \(90,\)"),
        ({"num_classes": 3}, "labels must be 0 to 2, got 3 of image 3"),
        ({"labels": torch.zeros(90).long(), "num_classes": 1}, "all labels are of one class"),
        ({"k": 0}, "k must be a whole number from 1 on, got 0"),
        ({"k": True}, "k must be a whole number"),
        ({"features": torch.ones(1, 2), "labels": torch.tensor([0])}, "one image has no neighb"),
    ],
)
def test_bad_input_is_one_line(made, change, reason):
    given = {"features": made[0], "labels": made[1], "num_classes": 4, **change}
    with pytest.raises(InputError, match=reason):
        find_neighbors(**given)
