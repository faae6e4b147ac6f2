import pytest
import torch

from pyg_agfn.audit.near_duplicates import appearance, find_near_duplicates


def by_brute_force(features, labels, threshold):
    unit = features / features.norm(dim=1, keepdim=True)
    return {
        (i, j): float(unit[i] @ unit[j])
        for i in range(len(unit))
        for j in range(i + 1, len(unit))
        if labels[i] != labels[j] and unit[i] @ unit[j] >= threshold
    }


@pytest.fixture
def made():
    """150 images and a nearly equal one of each."""
    torch.manual_seed(0)
    features = torch.randn(150, 40).repeat(2, 1)
    features += torch.rand(300, 1) * 0.15 * torch.randn_like(features)
    return features, torch.randint(0, 4, (300,))


@pytest.mark.parametrize("threshold", [0.99, 0.9, 0.3])
def test_pairs_are_those_of_brute_force(made, threshold):
    features, labels = made
    expected = by_brute_force(features, labels, threshold)
    pairs, cosines = find_near_duplicates(features, labels, threshold, most=10**6)
    assert len(expected) > 5
    assert {tuple(pair) for pair in pairs.tolist()} == expected.keys()
    assert cosines.tolist() == pytest.approx(sorted(expected.values(), reverse=True), abs=1e-5)


def test_the_most_alike_are_kept_whatever_the_blocks(made, monkeypatch):
    expected = by_brute_force(*made, 0.9)
    best = sorted(expected, key=lambda pair: -expected[pair])[:10]
    monkeypatch.setattr("pyg_agfn.audit.near_duplicates.BLOCK_ROWS", 13)
    monkeypatch.setattr("pyg_agfn.audit.near_duplicates.BLOCK_COLUMNS", 17)
    pairs, _ = find_near_duplicates(*made, 0.9, most=10)
    assert [tuple(pair) for pair in pairs.tolist()] == best


def test_images_of_one_label_or_none_have_no_pair(made):
    features, labels = made
    for part in (slice(0), slice(1)):
        assert len(find_near_duplicates(features[part], labels[part])[0]) == 0
    assert len(find_near_duplicates(features, torch.zeros_like(labels))[0]) == 0


def test_brightness_and_size_do_not_change_what_an_image_looks_like():
    torch.manual_seed(0)
    image = torch.randint(0, 100, (1, 3, 16, 16), dtype=torch.uint8)
    brighter = image + 100
    larger = image.repeat_interleave(2, 2).repeat_interleave(2, 3)
    other = torch.randint(0, 100, (1, 3, 16, 16), dtype=torch.uint8)
    seen, *changed = map(appearance, (image, brighter, larger))
    assert seen.shape == (1, 768)
    assert all(torch.allclose(seen, vector, atol=1e-3) for vector in changed)
    assert torch.cosine_similarity(seen, appearance(other)) < 0.5
