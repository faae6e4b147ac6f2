import pytest
import torch
from sklearn.metrics import silhouette_samples

from pyg_agfn.evaluation.separation import measure_separation


def test_separation_is_its_definitions_written_out():
    torch.manual_seed(0)
    labels = torch.arange(40) % 3
    features = torch.randn(40, 5) + 1.5 * torch.nn.functional.one_hot(labels, 5)
    found = measure_separation(features, labels)

    x = features.double()
    mean = x.mean(0)
    centers = {k: x[labels == k].mean(0) for k in range(3)}
    intra = sum((x[i] - centers[int(labels[i])]).square().sum() for i in range(40))
    inter = sum((centers[int(labels[i])] - mean).square().sum() for i in range(40))
    assert found.variance_ratio == pytest.approx(float(intra / inter))
    assert found.silhouette == pytest.approx(silhouette_samples(x, labels).mean())
    agreements = []
    for i in range(40):
        distance = (x - x[i]).norm(dim=1)
        distance[i] = float("inf")
        nearest = distance.argsort()[:10]
        agreements.append((labels[nearest] == labels[i]).double().mean())
    assert found.neighbour_agreement == pytest.approx(float(torch.stack(agreements).mean()))


def test_a_sample_is_not_its_own_neighbour():
    """Pairs of equal samples with different labels: each one's nearest is the other."""
    labels = torch.tensor([0, 1])
    found = measure_separation(torch.tensor([[0.0], [0.0], [9.0]]), torch.tensor([0, 1, 1]))
    assert found.neighbour_agreement == pytest.approx((0 + 0.5 + 0.5) / 3)
    with pytest.raises(ValueError, match="2 classes among 2 samples"):
        measure_separation(torch.zeros(2, 1), labels)
