"""Corrected labels against their formula, and the count of wrong ones against brute force."""

import pytest
import torch
import torch.nn.functional as F

from pyg_agfn.training.contradiction import (
    contradiction,
    correct_labels,
    find_noise_rate,
    threshold_of_share,
)


def test_a_label_is_moved_as_far_as_it_is_contradicted():
    opinion = torch.tensor([[0.2, 0.5, 0.3], [0.2, 0.5, 0.3], [0.0, 0.0, 1.0]])
    labels = torch.tensor([1, 0, 0])
    expected = [[0.0, 1.0, 0.0], [0.4 + 0.6 * 0.2, 0.3, 0.18], [0.0, 0.0, 1.0]]
    torch.testing.assert_close(correct_labels(labels, opinion), torch.tensor(expected))


def test_only_the_most_contradicted_labels_are_corrected_where_a_share_is_set():
    opinion = torch.tensor([[0.5, 0.5], [0.2, 0.8], [0.4, 0.6], [0.0, 1.0]])
    labels = torch.zeros(4, dtype=torch.long)  # contradicted by 0, 3/4, 1/3 and 1
    every = correct_labels(labels, opinion)
    given = F.one_hot(labels, 2).float()
    for at_most, corrected in ((0.0, []), (0.25, [3]), (0.5, [1, 3]), (1.0, [0, 1, 2, 3])):
        expected = given.clone()
        expected[corrected] = every[corrected]
        assert torch.equal(correct_labels(labels, opinion, at_most=at_most), expected)
    for at_least, corrected in ((0.0, [1, 2, 3]), (0.5, [1, 3]), (0.9, [3]), (1.1, [])):
        expected = given.clone()
        expected[corrected] = every[corrected]
        assert torch.equal(correct_labels(labels, opinion, at_least=at_least), expected)


def opinions(true: torch.Tensor, num_classes: int, sureness: float) -> torch.Tensor:
    """Opinions that are right the more often the surer they are."""
    logits = torch.randn(len(true), num_classes, dtype=torch.float64)
    return (logits + sureness * F.one_hot(true, num_classes)).softmax(1)


def with_wrong(true: torch.Tensor, num_classes: int, rate: float) -> torch.Tensor:
    wrong = torch.rand(len(true)) < rate
    return (true + wrong * torch.randint(1, num_classes, (len(true),))) % num_classes


def test_the_noise_rate_is_that_of_the_formula():
    torch.manual_seed(0)
    true = torch.arange(150) % 4
    opinion, labels = opinions(true, 4, 2.0), with_wrong(true, 4, 0.3)
    given, wrong = [], []
    for row, label in zip(opinion.tolist(), labels.tolist(), strict=True):
        given.append(1 - row[label] / max(row))
        wrong += [1 - p / max(row) for p in row if p < max(row)]

    def share(values, t):
        return sum(v >= t for v in values) / len(values)

    median = sorted(wrong)[len(wrong) // 2]
    rate = share(given, median) / share(wrong, median)
    lead = {t: 2 * rate * share(wrong, t) - share(given, t) for t in given}
    best = max(lead, key=lead.get)
    assert find_noise_rate(opinion, labels) == pytest.approx(share(given, best), abs=1e-12)
    assert threshold_of_share(opinion, labels, share(given, best)) == pytest.approx(best)
    assert threshold_of_share(opinion, labels, 1.0) == 0.0
    assert threshold_of_share(opinion, labels, 0.001) == float("inf")


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.2, 0.4])
@pytest.mark.parametrize(("sureness", "mistaken"), [(2.0, 0.289), (6.0, 0.0002)])
def test_wrong_labels_are_counted_also_where_opinions_are_wrong_more_often(
    rate, sureness, mistaken
):
    torch.manual_seed(1)
    true = torch.arange(20_000) % 8
    labels = with_wrong(true, 8, rate)
    opinion = opinions(true, 8, sureness)
    assert float((opinion.argmax(1) != true).double().mean()) == pytest.approx(mistaken, abs=0.01)
    found = find_noise_rate(opinion, labels)
    assert found == pytest.approx(rate, abs=0.02)
    if rate:
        against = contradiction(opinion).gather(1, labels.unsqueeze(1)).squeeze(1)
        threshold = threshold_of_share(opinion, labels, found)
        beyond = against >= threshold
        wrong = (labels != true).double()
        assert float(wrong[beyond].mean()) > 0.7
        just_below = ~beyond & (against > threshold - 0.1)
        assert not just_below.any() or float(wrong[just_below].mean()) < 0.5


def test_of_few_opinions_or_none_nothing_is_said():
    alike, labels = torch.full((500, 3), 1 / 3), torch.zeros(500, dtype=torch.long)
    assert find_noise_rate(alike, labels) is None
    alike[:29, 0] += 0.1
    assert find_noise_rate(alike, labels) is None
    alike[29, 0] += 0.1
    assert find_noise_rate(alike, labels) == 0.0
    assert find_noise_rate(alike, labels + 1) == 1.0
