import math

import pytest
import torch
from scipy.stats import chisquare, truncnorm

from pyg_agfn.datasets import inject_label_noise, noise
from pyg_agfn.datasets.noise import instance_dependent_noise, pair_flip_noise
from pyg_agfn.errors import InputError
from pyg_agfn.generators import generator_for


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


def test_pair_flips_are_to_the_next_class_of_the_images_that_symmetric_noise_draws():
    labels = torch.arange(40) % 4
    noisy = pair_flip_noise(labels, 0.25, 4, seed=1)
    changed = noisy != labels
    assert changed.sum() == 10
    assert torch.equal(noisy[changed], (labels[changed] + 1) % 4)
    assert torch.equal(changed, inject_label_noise(labels, 0.25, 4, seed=1) != labels)
    assert not torch.equal(noisy, pair_flip_noise(labels, 0.25, 4, seed=2))


def pictures(n: int, classes: int, side: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    images = torch.randint(0, 256, (n, 1, side, side), dtype=torch.uint8, generator=generator)
    return images, torch.randint(classes, (n,), generator=generator)


def test_instance_dependent_noise_is_the_published_algorithm(monkeypatch):
    """Image by image, each with the distribution of Xia et al.; only the draws are shared."""
    images, labels = pictures(500, 3)
    found = instance_dependent_noise(labels, 0.3, 3, 7, images)
    generator = generator_for("instance noise", 7)
    drawn = torch.rand(500, dtype=torch.float64, generator=generator).numpy()
    ends = (-0.3 / 0.1, 0.7 / 0.1)
    rates = truncnorm.ppf(drawn, *ends, loc=0.3, scale=0.1)
    lot = torch.rand(500, dtype=torch.float64, generator=generator).tolist()
    projections = [torch.randn(16, 3, generator=generator).double() for _ in range(3)]
    for i in range(500):
        y = int(labels[i])
        logits = (images[i].flatten().double() / 255) @ projections[y]
        weight = [0.0 if k == y else math.exp(float(logits[k])) for k in range(3)]
        # The wrong classes share the first part of the lot, the true one has the rest.
        expected, reached = y, 0.0
        for k in range(3):
            before, reached = reached, reached + rates[i] * weight[k] / sum(weight)
            if before <= lot[i] < reached:
                expected = k
        assert int(found[i]) == expected
    monkeypatch.setattr(noise, "BLOCK_BYTES", 8 * 16 * 3)
    assert torch.equal(instance_dependent_noise(labels, 0.3, 3, 7, images), found)


@pytest.mark.parametrize("ratio", [0.1, 0.2, 0.45])
def test_instance_dependent_noise_has_the_rate_of_its_truncated_normal(ratio):
    images, labels = pictures(20_000, 5, side=3)
    state = torch.get_rng_state()
    noisy = instance_dependent_noise(labels, ratio, 5, 0, images)
    assert torch.equal(torch.get_rng_state(), state)
    mean = truncnorm.mean(-ratio / 0.1, (1 - ratio) / 0.1, loc=ratio, scale=0.1)
    share = float((noisy != labels).double().mean())
    assert abs(share - mean) < 4 * math.sqrt(mean * (1 - mean) / 20_000)
    assert not torch.equal(noisy, instance_dependent_noise(labels, ratio, 5, 1, images))
    assert torch.equal(instance_dependent_noise(labels, 0.0, 5, 0, images), labels)


@pytest.mark.parametrize("kind", ["symmetric", "pair", "instance"])
def test_a_data_set_has_the_noise_of_a_kind(tiny, kind):
    noisy = tiny.with_noise(0.3, 5, kind)
    expected = {
        "symmetric": inject_label_noise(tiny.labels, 0.3, 3, 5),
        "pair": pair_flip_noise(tiny.labels, 0.3, 3, 5),
        "instance": instance_dependent_noise(tiny.labels, 0.3, 3, 5, tiny.images),
    }
    assert torch.equal(noisy.labels, expected.pop(kind))
    assert all(not torch.equal(noisy.labels, other) for other in expected.values())
    assert torch.equal(noisy.true_labels, tiny.labels)
    with pytest.raises(InputError, match="noise kind must be symmetric, pair or instance"):
        tiny.with_noise(0.3, 5, "asymmetric")


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
    labels, images = torch.tensor(labels), torch.zeros(len(labels), 1, 2, 2, dtype=torch.uint8)
    for kind in ("symmetric", "pair", "instance"):
        with pytest.raises(InputError):
            noise.make_noise(kind, labels, ratio, num_classes, 0, images)
