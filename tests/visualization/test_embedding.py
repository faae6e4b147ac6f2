import sys
import warnings

import numpy as np
import pytest
import torch
from sklearn.neighbors import KNeighborsClassifier

from pyg_agfn.visualization import embedding
from pyg_agfn.visualization.embedding import embed


def clusters(n: int) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    labels = torch.arange(n) % 3
    return torch.randn(n, 60) + 6 * torch.nn.functional.one_hot(labels, 60), labels


@pytest.mark.parametrize("many", [False, True])
def test_clusters_stay_clusters_and_the_seed_decides(monkeypatch, many):
    if many:
        monkeypatch.setattr(embedding, "MANY_POINTS", 50)
    features, labels = clusters(120)
    positions = embed(features, seed=1)
    assert positions.shape == (120, 2)
    assert ("openTSNE" in sys.modules) >= many
    score = KNeighborsClassifier(5).fit(positions, labels).score(positions, labels)
    assert score > 0.98
    if not many:
        assert np.array_equal(embed(features, seed=1), positions)


@pytest.mark.parametrize("many", [False, True])
@pytest.mark.parametrize("n", [0, 1, 2, 3, 4, 5])
def test_few_samples_have_positions(monkeypatch, many, n):
    if many:
        monkeypatch.setattr(embedding, "MANY_POINTS", 3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        positions = embed(clusters(5)[0][:n])
    assert positions.shape == (n, 2)
    assert np.isfinite(positions).all()
    assert len(np.unique(positions, axis=0)) == n


@pytest.mark.parametrize("many", [False, True])
@pytest.mark.parametrize(
    ("features", "different"),
    [
        (torch.full((60, 8), 3.3), 1),
        (torch.zeros(60, 8), 1),
        (torch.zeros(60, 0), 1),
        (3.3 + 1e-7 * torch.randn(60, 8, generator=torch.Generator().manual_seed(0)), 1),
        (torch.arange(60.0)[:, None] % 2, 2),
        (torch.arange(60.0)[:, None] % 7, 7),
        (torch.arange(60.0)[:, None], 60),
        (torch.eye(60) * 3e38, 60),
        (torch.eye(60).double() * 1e-300, 60),
    ],
    ids=["same", "zero", "no feature", "rounding", "two", "seven", "one feature", "huge", "tiny"],
)
def test_equal_features_have_one_position_and_no_library_crashes(
    monkeypatch, many, features, different
):
    if many:
        monkeypatch.setattr(embedding, "MANY_POINTS", 3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        positions = embed(features)
    assert np.isfinite(positions).all()
    assert len(np.unique(positions, axis=0)) == different


def test_the_unit_of_the_features_does_not_matter():
    features, labels = clusters(60)
    positions = embed(features * 1e30)
    assert KNeighborsClassifier(5).fit(positions, labels).score(positions, labels) > 0.98


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_not_finite_is_refused(value):
    features, _ = clusters(9)
    features[3, 2] = value
    with pytest.raises(ValueError, match="not finite"):
        embed(features)


def test_a_seed_is_one_of_numpys():
    features, _ = clusters(9)
    assert embed(features, 2**32 - 1).shape == (9, 2)
    for seed in (-1, 2**32):
        with pytest.raises(ValueError, match=r"below 2\^32"):
            embed(features, seed)
