import pytest
import torch
from sklearn.decomposition import PCA

from pyg_agfn.audit.interval import (
    confident_issue_rate,
    confident_joint_rate,
    share_and_interval,
)
from pyg_agfn.audit.neighbors import find_neighbors
from pyg_agfn.datasets import Digits
from pyg_agfn.datasets.noise import inject_label_noise
from pyg_agfn.errors import InputError


@pytest.fixture(scope="module")
def digits():
    data = Digits()
    pixels = data.images.flatten(1).double().numpy() / 255
    return torch.from_numpy(PCA(30, random_state=0).fit_transform(pixels)), data.labels


def noisy(labels, share, kind, seed):
    if kind == "uniform":
        return inject_label_noise(labels, share, 10, seed)
    generator = torch.Generator().manual_seed(seed)
    wrong = torch.rand(len(labels), generator=generator) < share
    return torch.where(wrong, (labels + 1) % 10, labels)  # each class is taken for the next


@pytest.mark.parametrize("kind", ["uniform", "next class"])
def test_the_interval_holds_the_true_share_in_nine_of_ten_cases(digits, kind):
    features, labels = digits
    held = 0
    for case, share in enumerate((0.0, 0.05, 0.1, 0.2, 0.3, 0.4)):
        given = noisy(labels, share, kind, seed=case)
        true = float((given != labels).double().mean())
        estimate, (low, high) = share_and_interval(given, find_neighbors(features, given, 10)[0])
        assert low <= estimate <= high
        held += low <= true <= high
        if kind == "uniform":
            assert estimate == pytest.approx(true, abs=0.03)
            assert high - low < 0.03 + 0.5 * share
    assert held >= 6 * 0.9


def test_more_images_make_it_narrower(digits):
    features, labels = digits
    given = noisy(labels, 0.2, "uniform", 0)
    posterior = find_neighbors(features, given, 10).posterior
    widths = []
    for times in (1, 30):  # of 40,410 images, a sample has 10,000
        _, (low, high) = share_and_interval(given.repeat(times), posterior.repeat(times, 1))
        widths.append(high * 0.9 - low)
    assert widths[1] < widths[0] / 1.5


def test_the_confident_joint_by_brute_force():
    torch.manual_seed(0)
    posterior, labels = (2 * torch.randn(80, 4)).softmax(1), torch.arange(80) % 3
    limits = []
    for k in range(4):
        own = [float(posterior[i, k]) for i in range(80) if labels[i] == k]
        limits.append(sum(own) / len(own) if own else 2.0)
    right = [0.0] * 4
    counted = [0.0] * 4
    for i in range(80):
        sure = [k for k in range(4) if posterior[i, k] >= limits[k]]
        if sure:
            counted[labels[i]] += 1
            right[labels[i]] += max(sure, key=lambda k: float(posterior[i, k])) == labels[i]
    given = labels.bincount(minlength=4).tolist()
    shares = [r / c if c else 1.0 for r, c in zip(right, counted, strict=True)]
    expected = 1 - sum(s * n for s, n in zip(shares, given, strict=True)) / 80
    assert confident_joint_rate(posterior, labels) == pytest.approx(expected)


def test_a_model_and_a_share_that_is_known_count_too(digits):
    features, labels = digits
    posterior = find_neighbors(features, labels, 10).posterior
    model = torch.full_like(posterior, 0.01).scatter(1, ((labels + 1) % 10).unsqueeze(1), 0.91)
    wrong = confident_joint_rate(model, labels)
    assert wrong == 1
    _, (low, high) = share_and_interval(labels, posterior, model)
    assert low < 0.01
    assert high == 1
    assert share_and_interval(labels, posterior, share=0.5) == (0.5, (pytest.approx(0), 0.5))


def test_of_too_few_images_nothing_is_known():
    posterior, labels = torch.full((9, 3), 1 / 3), torch.arange(9) % 3
    assert share_and_interval(labels, posterior, share=0.2) == (0.2, (0.0, 1.0))
    with pytest.raises(InputError, match=r"at least 30 images .* give share"):
        share_and_interval(labels, posterior)


def test_the_confident_issues_are_those_off_the_diagonal_that_another_class_beats():
    torch.manual_seed(0)
    probabilities, labels = torch.randn(300, 4).softmax(1), torch.arange(300) % 4
    mean = [float(probabilities[labels == k, k].mean()) for k in range(4)]
    count = 0
    for row, label in zip(probabilities.tolist(), labels.tolist(), strict=True):
        sure = [k for k in range(4) if row[k] >= mean[k]]
        if sure and max(sure, key=row.__getitem__) != label and max(row) != row[label]:
            count += 1
    assert 0 < count < 300
    assert confident_issue_rate(probabilities, labels) == pytest.approx(count / 300)
    # It is the share where a model is at hand, and cleanlab's count.
    assert share_and_interval(labels, None, probabilities)[0] == pytest.approx(count / 300)
    counts = pytest.importorskip("cleanlab.count")
    theirs = counts.num_label_issues(labels.numpy(), probabilities.double().numpy())
    assert theirs == count


def test_a_class_that_is_never_given_is_no_confident_suggestion():
    probabilities = torch.tensor([[0.1, 0.2, 0.7], [0.6, 0.3, 0.1], [0.2, 0.7, 0.1]])
    assert confident_issue_rate(probabilities, torch.tensor([0, 0, 1])) == 0.0
