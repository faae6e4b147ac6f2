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


@pytest.mark.parametrize(
    ("features", "labels", "reason"),
    [
        (torch.randn(5, 3), torch.zeros(5, dtype=torch.long), "1 classes among 5"),
        (torch.randn(4, 3), torch.arange(4), "4 classes among 4"),
        (torch.zeros(0, 3), torch.zeros(0, dtype=torch.long), "0 classes among 0"),
        (torch.full((6, 3), 0.1), torch.arange(6) % 2, "all features are the same"),
        (torch.full((6, 3), float("nan")), torch.arange(6) % 2, "not finite"),
    ],
)
def test_where_nothing_can_be_measured_it_says_why(features, labels, reason):
    with pytest.raises(ValueError, match=reason):
        measure_separation(features, labels)


def test_separation_does_not_depend_on_the_unit_and_names_how_many_neighbours_it_asked():
    torch.manual_seed(0)
    labels = torch.tensor([0, 0, 1, 1, 2])  # one class fewer than allowed
    features = torch.randn(5, 3)
    plain = measure_separation(features, labels)
    assert plain.neighbours == 4
    for unit in (1e30, 1e-30):
        scaled = measure_separation(features * unit, labels)
        assert scaled.silhouette == pytest.approx(plain.silhouette, rel=1e-4)
        assert scaled.variance_ratio == pytest.approx(plain.variance_ratio, rel=1e-4)
