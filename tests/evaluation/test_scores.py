import json
import tracemalloc

import pytest
import torch
from scipy.stats import binomtest
from scipy.stats import t as t_distribution
from sklearn.metrics import confusion_matrix, f1_score, recall_score

from pyg_agfn.evaluation import EvaluationSettings, compare, memorized_share, paired_p_value, score
from pyg_agfn.evaluation.report import make_report
from pyg_agfn.evaluation.scores import wilson_interval
from pyg_agfn.nn import BaselineClassifier


def test_scores_are_scikit_learns():
    torch.manual_seed(0)
    logits, labels = torch.randn(200, 4), torch.randint(0, 4, (200,))
    found, predicted = score(logits, labels), logits.argmax(1)
    assert found.accuracy == pytest.approx(float((predicted == labels).double().mean()))
    assert found.macro_f1 == pytest.approx(f1_score(labels, predicted, average="macro"))
    recalls = recall_score(labels, predicted, average=None)
    assert found.class_accuracy == pytest.approx(recalls.tolist())
    assert found.mean_class_accuracy == pytest.approx(recalls.mean())
    assert found.confusion == confusion_matrix(labels, predicted).tolist()


def test_a_class_without_images_and_predictions_does_not_count():
    logits, labels = torch.eye(4)[[0, 0, 2]], torch.tensor([0, 2, 2])
    found = score(logits, labels)
    assert found.class_accuracy == [1.0, 0.0, 0.5, 0.0]
    assert found.class_images == [1, 0, 2, 0]
    assert found.mean_class_accuracy == 0.75
    assert found.macro_f1 == pytest.approx(2 / 3)
    assert found.confusion_pairs == [(0, 0, 1), (2, 0, 1), (2, 2, 1)]


def test_thousands_of_classes_are_a_few_megabytes():
    torch.manual_seed(0)
    features, labels = torch.randn(300, 8), torch.arange(300) % 8000
    model = BaselineClassifier(torch.nn.Identity(), 8000, num_features=8)
    names = tuple(f"class {i}" for i in range(8000))
    tracemalloc.start()
    settings = EvaluationSettings(batch_size=64)
    report = make_report("run", names, model, features, labels, settings)
    text = json.dumps(report.as_json())
    _, peak = tracemalloc.get_traced_memory()  # of Python and NumPy
    tracemalloc.stop()
    assert len(text) < 2**20
    assert peak < 64 * 2**20  # a matrix of all classes has 64 million entries
    assert len(json.loads(text)["bank"]["confusion_pairs"]["true"]) <= 300


def test_calibration_error_is_the_gap_between_confidence_and_accuracy():
    logits = torch.tensor([[0.8, 0.2]]).log().repeat(10, 1)
    labels = torch.tensor([0] * 5 + [1] * 5)  # right half of the time, sure of 80%
    assert score(logits, labels).calibration_error == pytest.approx(0.3, abs=1e-5)


def test_wilson_interval_is_the_textbooks():
    low, high = wilson_interval(90, 100)
    z, n, p = 1.959964, 100, 0.9
    middle = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * (p * (1 - p) / n + z**2 / (4 * n**2)) ** 0.5
    assert (low, high) == pytest.approx((middle - half, middle + half), abs=1e-6)


def test_mcnemar_counts_the_images_that_one_alone_gets_right():
    labels = torch.zeros(20, dtype=torch.long)
    right, wrong = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])
    first = torch.stack([right] * 15 + [wrong] * 5)
    second = torch.stack([wrong] * 8 + [right] * 8 + [wrong] * 4)
    found = compare(first, second, labels)
    assert (found.only_first, found.only_second) == (8, 1)
    assert found.p_value == pytest.approx(2 * (1 + 9) / 2**9)  # two-sided, of 9 fair coins
    assert compare(first, first, labels).p_value == 1.0


def test_memorized_counts_wrong_labels_only():
    labels, true = torch.tensor([0, 1, 2, 0, 1]), torch.tensor([0, 1, 1, 1, 0])
    predicted = torch.tensor([0, 0, 2, 1, 1])
    assert memorized_share(predicted, labels, true) == pytest.approx(2 / 3)
    assert memorized_share(predicted, labels, labels) is None


def test_the_paired_test_of_one_seed_is_mcnemars():
    torch.manual_seed(0)
    first, second = torch.rand(1, 200) < 0.8, torch.rand(1, 200) < 0.7
    only_first = int((first & ~second).sum())
    only_second = int((second & ~first).sum())
    expected = binomtest(only_first, only_first + only_second).pvalue
    assert paired_p_value(first, second) == pytest.approx(expected)
    assert paired_p_value(first, first) == 1.0


def test_the_paired_test_of_several_seeds_takes_each_images_mean():
    torch.manual_seed(0)
    first, second = torch.rand(3, 300) < 0.8, torch.rand(3, 300) < 0.7
    difference = (first.double() - second.double()).mean(0)
    t = difference.mean() / (difference.std() / 300**0.5)
    assert paired_p_value(first, second) == pytest.approx(2 * t_distribution.sf(abs(t), 299))
    assert paired_p_value(first, first[[1, 2, 0]]) == 1.0


def test_the_paired_test_finds_no_difference_in_chance():
    """Two equally good classifiers: p is below 0.05 about one time in twenty."""
    torch.manual_seed(0)
    small = 0
    for _ in range(400):
        first, second = torch.rand(2, 3, 200) < 0.7
        small += paired_p_value(first, second) < 0.05
    assert 6 <= small <= 36
