import sys

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


def test_few_samples_have_a_smaller_perplexity():
    assert embed(clusters(5)[0]).shape == (5, 2)
    with pytest.raises(ValueError, match="at least 4 samples, got 3"):
        embed(clusters(3)[0])
