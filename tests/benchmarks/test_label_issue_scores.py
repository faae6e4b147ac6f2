import pytest
import torch
from label_issue_scores import (
    edge_posterior,
    first,
    label_margin,
    mean_log_odds,
    mean_over_epochs,
    nearest_posterior,
    quality,
)

from pyg_agfn.transforms import PoissonEdges


def test_quality_is_that_of_all_pairs_and_of_each_rank():
    torch.manual_seed(0)
    wrong = torch.rand(60) < 0.3
    score = torch.randn(60) + wrong  # no two are equal
    flagged = first(score, 0.4)
    found = quality(score, wrong, flagged)

    pairs = [(a, b) for a in score[wrong] for b in score[~wrong]]
    assert found.auroc == pytest.approx(sum(a > b for a, b in pairs) / len(pairs))
    ranked = wrong[score.argsort(descending=True)].tolist()
    precisions = [sum(ranked[: i + 1]) / (i + 1) for i, hit in enumerate(ranked) if hit]
    assert found.average_precision == pytest.approx(sum(precisions) / len(precisions))
    hits, count = sum(ranked[:24]), sum(ranked)
    precision, recall = hits / 24, hits / count
    assert found.f1 == pytest.approx(2 * precision * recall / (precision + recall))
    assert found.precision_at_share == pytest.approx(sum(ranked[:count]) / count)
    assert found.flagged == pytest.approx(24 / 60)


def test_without_wrong_labels_only_the_flagged_share_is_known():
    found = quality(torch.rand(10), torch.zeros(10, dtype=torch.bool), torch.arange(10) < 3)
    assert found.flagged == pytest.approx(0.3)
    assert all(value != value for value in found[:4])


def test_first_are_the_highest_and_ties_do_not_follow_the_order_of_the_data():
    assert first(torch.tensor([0.1, 0.9, 0.5, 0.7]), 0.5).tolist() == [False, True, False, True]
    chosen = first(torch.zeros(1000), 0.5)
    assert chosen.sum() == 500
    assert 200 < chosen[:500].sum() < 300


def test_margin_is_to_the_largest_other_logit():
    logits, labels = torch.randn(20, 5), torch.randint(5, (20,))
    expected = [
        row[label] - max(value for k, value in enumerate(row) if k != label)
        for row, label in zip(logits, labels, strict=True)
    ]
    torch.testing.assert_close(label_margin(logits, labels), torch.stack(expected))


def test_nearest_posterior_counts_the_labels_of_the_nearest_other_images():
    torch.manual_seed(0)
    features, labels = torch.randn(30, 4), torch.randint(3, (30,))
    found = nearest_posterior(features, labels, 3, k=7)
    for i in range(30):
        distance = (features - features[i]).norm(dim=1)
        others = sorted((j for j in range(30) if j != i), key=lambda j: float(distance[j]))[:7]
        expected = [sum(int(labels[j]) == k for j in others) / 7 for k in range(3)]
        assert found[i].tolist() == pytest.approx(expected)


def test_edge_posterior_is_the_mean_target_of_the_other_images():
    torch.manual_seed(0)
    edges = PoissonEdges(alpha=4.0, beta=-1.0)
    features, targets = torch.randn(25, 3), torch.rand(25, 4).softmax(1)
    found = edge_posterior(edges, features, torch.zeros(25, dtype=torch.long), targets)
    for i in range(25):
        cosine = torch.cosine_similarity(features[i : i + 1], features)
        weight = 1 - torch.exp(-(4.0 * cosine - 1.0).clamp(min=0))
        weight[i] = 0
        if weight.sum() > 0.1:  # a prior decides for an image that is hardly joined
            expected = weight @ targets / weight.sum()
            torch.testing.assert_close(found[i], expected, atol=1e-2, rtol=0)


def test_mean_log_odds_of_opposite_probabilities_is_a_half():
    p = torch.tensor([0.2, 0.7, 1.0])
    torch.testing.assert_close(mean_log_odds(p, 1 - p), torch.full((3,), 0.5).double())
    torch.testing.assert_close(mean_log_odds(p, p)[:2], p[:2].double())


def test_mean_over_epochs_leaves_out_what_was_not_recorded():
    nan = float("nan")
    values = torch.tensor([[1.0, nan, nan], [3.0, 5.0, nan]])
    assert mean_over_epochs(values).tolist() == [2.0, 5.0, 3.0]
