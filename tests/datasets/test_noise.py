import pytest
import torch
from scipy.stats import chisquare

from pyg_agfn.datasets import inject_label_noise
from pyg_agfn.errors import InputError


@pytest.mark.parametrize(("n", "ratio"), [(1000, 0.2), (7, 0.5), (13, 0.1), (5, 0.0), (9, 1.0)])
def test_exactly_the_asked_share_becomes_another_class(n, ratio):
    labels = torch.arange(n) % 4
    before = labels.clone()
    noisy = inject_label_noise(labels, ratio, 4, seed=0)
    assert torch.equal(labels, before)
    assert int((noisy != labels).sum()) == round(ratio * n)
    assert noisy.min() >= 0
    assert noisy.max() < 4


def test_the_other_class_is_drawn_uniformly_whatever_the_label():
    labels = torch.arange(5).repeat(6000)
    noisy = inject_label_noise(labels, 0.5, 5, seed=1)
    moved = noisy != labels
    for label in range(5):
        counts = torch.bincount(noisy[moved & (labels == label)], minlength=5)
        assert counts[label] == 0
        others = counts[torch.arange(5) != label]
        assert chisquare(others.numpy()).pvalue > 1e-4
    assert chisquare(torch.bincount(labels[moved]).numpy()).pvalue > 1e-4


def test_a_seed_gives_the_same_labels_and_leaves_the_global_generator_alone():
    labels = torch.arange(100) % 3
    state = torch.get_rng_state()
    first = inject_label_noise(labels, 0.3, 3, seed=5)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(first, inject_label_noise(labels, 0.3, 3, seed=5))
    assert not torch.equal(first, inject_label_noise(labels, 0.3, 3, seed=6))


@pytest.mark.parametrize(
    ("labels", "ratio", "num_classes"),
    [
        ([0, 1], -0.1, 2),
        ([0, 1], 1.1, 2),
        ([0, 1], float("nan"), 2),
        ([0, 0], 0.5, 1),
        ([3], 0.5, 3),
    ],
)
def test_ratios_and_labels_out_of_range_are_refused(labels, ratio, num_classes):
    with pytest.raises(InputError):
        inject_label_noise(torch.tensor(labels), ratio, num_classes, 0)
