"""Losses that weigh classes, against sums over the images written out."""

import pytest
import torch
import torch.nn.functional as F

from pyg_agfn.errors import InputError
from pyg_agfn.methods import Baseline
from pyg_agfn.training import Trainer, TrainOptions
from pyg_agfn.training.class_balance import class_weights, make_criterion, weigh_classes
from pyg_agfn.training.losses import LOSSES

LABELS = torch.tensor([0] * 6 + [1] * 3 + [2])


def test_weights_are_the_images_over_classes_times_count():
    expected = [10 / (3 * 6), 10 / (3 * 3), 10 / 3]
    assert class_weights(LABELS, 3).tolist() == pytest.approx(expected)
    assert float(class_weights(LABELS, 3)[LABELS].mean()) == pytest.approx(1.0)
    assert class_weights(LABELS, 4).tolist() == pytest.approx([*expected, 0.0])


def test_equal_classes_have_the_weight_of_one():
    logits, labels = torch.randn(9, 3), torch.arange(9) % 3
    for name, loss in LOSSES.items():
        weighed = weigh_classes(name, class_weights(labels, 3))
        torch.testing.assert_close(weighed(logits, labels), loss(logits, labels))


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("name", LOSSES)
def test_the_loss_of_each_image_is_multiplied_by_its_classs_weight(name, soft):
    torch.manual_seed(0)
    logits, weights = torch.randn(10, 3), class_weights(LABELS, 3)
    targets = torch.rand(10, 3).softmax(1) if soft else F.one_hot(LABELS, 3).float()
    total = 0.0
    for i in range(10):
        p = logits[i].softmax(0)
        if name == "cross-entropy":
            total += sum(-float(weights[c] * targets[i, c] * p[c].log()) for c in range(3))
        else:
            weight = sum(float(weights[c] * targets[i, c]) for c in range(3))
            total += weight * sum(float((p[c] - targets[i, c]) ** 2) for c in range(3))
    found = weigh_classes(name, weights)(logits, targets if soft else LABELS)
    assert float(found) == pytest.approx(total / 10, rel=1e-5)


def test_the_labels_as_given_are_counted(tiny):
    noisy = tiny.with_noise(0.3, seed=1)
    logits = torch.randn(60, 3)
    criterion = make_criterion(TrainOptions(balance="loss"), noisy)
    counts = torch.bincount(noisy.labels)
    assert counts.tolist() != [20, 20, 20]
    expected = (
        F.cross_entropy(logits, noisy.labels, reduction="none") * (60 / (3 * counts))[noisy.labels]
    )
    torch.testing.assert_close(criterion(logits, noisy.labels), expected.mean())


def test_a_method_object_has_its_own_loss():
    with pytest.raises(InputError, match="balance='loss' has no effect with a Method object"):
        Trainer(method=Baseline(), balance="loss")
