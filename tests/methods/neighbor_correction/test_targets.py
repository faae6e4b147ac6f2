"""Corrected labels against their formula, and the count of wrong ones against brute force."""

import math

import pytest
import torch
import torch.nn.functional as F

from pyg_agfn.methods.neighbor_correction import (
    correct_labels,
    estimate_issue_rate,
    label_disagreement,
    posterior_reliability,
    threshold_of_share,
)


def test_a_label_is_moved_as_far_as_it_is_contradicted():
    opinion = torch.tensor([[0.2, 0.5, 0.3], [0.2, 0.5, 0.3], [0.0, 0.0, 1.0]])
    labels = torch.tensor([1, 0, 0])
    expected = [[0.0, 1.0, 0.0], [0.4 + 0.6 * 0.2, 0.3, 0.18], [0.0, 0.0, 1.0]]
    torch.testing.assert_close(correct_labels(labels, opinion), torch.tensor(expected))
    half = (F.one_hot(labels, 3) + torch.tensor(expected)) / 2
    torch.testing.assert_close(correct_labels(labels, opinion, strength=0.5), half)


def test_only_the_most_contradicted_labels_are_corrected_where_a_share_is_set():
    opinion = torch.tensor([[0.5, 0.5], [0.2, 0.8], [0.4, 0.6], [0.0, 1.0]])
    labels = torch.zeros(4, dtype=torch.long)  # contradicted by 0, 3/4, 1/3 and 1
    every = correct_labels(labels, opinion)
    given = F.one_hot(labels, 2).float()
    for at_most, corrected in ((0.0, []), (0.25, [3]), (0.5, [1, 3]), (1.0, [0, 1, 2, 3])):
        expected = given.clone()
        expected[corrected] = every[corrected]
        assert torch.equal(correct_labels(labels, opinion, max_share=at_most), expected)
    for at_least, corrected in ((0.0, [1, 2, 3]), (0.5, [1, 3]), (0.9, [3]), (1.1, [])):
        expected = given.clone()
        expected[corrected] = every[corrected]
        assert torch.equal(correct_labels(labels, opinion, threshold=at_least), expected)


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
    assert estimate_issue_rate(opinion, labels) == pytest.approx(share(given, best), abs=1e-12)
    against = label_disagreement(opinion, labels)
    assert float(threshold_of_share(against, share(given, best))) == pytest.approx(best)


def test_a_share_of_the_labels_reaches_the_threshold():
    against = torch.tensor([0.3, -1.0, 0.9, 0.0, -1.0, 0.5])  # two are not known
    for share, threshold in ((0.0, math.inf), (0.1, math.inf), (0.2, 0.9), (0.5, 0.5), (1.0, 0.0)):
        found = threshold_of_share(against, share)
        assert float(found) == pytest.approx(threshold)
        assert int((against >= found).sum()) == round(4 * share)
    assert float(threshold_of_share(torch.full((3,), -1.0), 0.5)) == math.inf


@pytest.mark.parametrize(("sureness", "rate"), [(0.5, 0.0), (0.5, 0.4), (2.0, 0.2), (6.0, 0.1)])
def test_how_often_opinions_are_right_shows_without_the_true_labels(sureness, rate):
    torch.manual_seed(4)
    true = torch.arange(40_000) % 8
    opinion, labels = opinions(true, 8, sureness), with_wrong(true, 8, rate)
    right = float((opinion.argmax(1) == true).double().mean())
    against = label_disagreement(opinion, labels)
    # A mistaken opinion agrees with a wrong label one time in seven.
    agreed = right + (1 - right) / 7 * rate / (1 - rate)
    unknown = torch.full((999,), -1.0, dtype=torch.float64)
    found = float(posterior_reliability(torch.cat([against, unknown]), rate))
    assert found == pytest.approx(agreed, abs=0.015)


def test_posterior_reliability_is_a_share():
    assert float(posterior_reliability(torch.tensor([0.0, 0.0, 0.9]), 0.5)) == 1.0
    assert float(posterior_reliability(torch.tensor([0.0, 0.9, 0.9, 0.9]), 0.5)) == 0.5
    assert float(posterior_reliability(torch.zeros(3), 1.0)) == 1.0
    assert float(posterior_reliability(torch.ones(3), 1.0)) == 0.0
    assert float(posterior_reliability(torch.full((3,), -1.0), 0.2)) == 0.0


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
    found = estimate_issue_rate(opinion, labels)
    assert found == pytest.approx(rate, abs=0.02)
    if rate:
        against = label_disagreement(opinion, labels)
        threshold = threshold_of_share(against, found)
        beyond = against >= threshold
        wrong = (labels != true).double()
        assert float(wrong[beyond].mean()) > 0.7
        just_below = ~beyond & (against > threshold - 0.1)
        assert not just_below.any() or float(wrong[just_below].mean()) < 0.5


def test_of_few_opinions_or_none_nothing_is_said():
    alike, labels = torch.full((500, 3), 1 / 3), torch.zeros(500, dtype=torch.long)
    assert estimate_issue_rate(alike, labels) is None
    alike[:29, 0] += 0.1
    assert estimate_issue_rate(alike, labels) is None
    alike[29, 0] += 0.1
    assert estimate_issue_rate(alike, labels) == 0.0
    assert estimate_issue_rate(alike, labels + 1) == 1.0


def test_soft_labels_take_the_place_of_the_one_hot_label():
    posterior = torch.tensor([[0.2, 0.5, 0.3], [0.2, 0.5, 0.3]])
    labels = torch.tensor([1, 0])
    soft = torch.tensor([[0.1, 0.8, 0.1], [0.6, 0.0, 0.4]])
    # The first label agrees and keeps its distribution; the second disagrees by 1 - 0.2 / 0.5.
    expected = torch.stack([soft[0], 0.4 * soft[1] + 0.6 * posterior[1]])
    torch.testing.assert_close(correct_labels(labels, posterior, soft_labels=soft), expected)
    one_hot = F.one_hot(labels, 3).float()
    again = correct_labels(labels, posterior, soft_labels=one_hot)
    assert torch.equal(again, correct_labels(labels, posterior))
