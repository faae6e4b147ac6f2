import torch
import torch.nn.functional as F

from pyg_agfn.methods import generalized_cross_entropy, label_smoothing


def test_label_smoothing_is_cross_entropy_with_soft_targets():
    logits, labels = torch.randn(5, 4, dtype=torch.float64), torch.tensor([0, 3, 1, 1, 2])
    soft = 0.9 * F.one_hot(labels, 4) + 0.1 / 4
    expected = -(soft * logits.log_softmax(1)).sum(1).mean()
    torch.testing.assert_close(label_smoothing(logits, labels), expected)


def test_generalized_cross_entropy_is_its_formula_between_its_two_limits():
    logits = torch.randn(5, 4, dtype=torch.float64, requires_grad=True)
    labels = torch.tensor([0, 3, 1, 1, 2])
    p = logits.softmax(1)[range(5), labels]
    torch.testing.assert_close(
        generalized_cross_entropy(logits, labels), ((1 - p**0.7) / 0.7).mean()
    )
    torch.testing.assert_close(generalized_cross_entropy(logits, labels, q=1.0), (1 - p).mean())
    torch.testing.assert_close(
        generalized_cross_entropy(logits, labels, q=1e-7),
        F.cross_entropy(logits, labels),
        rtol=1e-5,
        atol=0,
    )


def test_generalized_cross_entropy_has_a_gradient_where_the_label_is_impossible():
    logits = torch.tensor([[200.0, -200.0]], requires_grad=True)
    generalized_cross_entropy(logits, torch.tensor([1])).backward()
    assert torch.isfinite(logits.grad).all()


def test_soft_labels_have_the_mean_loss_of_the_labels_that_raters_gave():
    torch.manual_seed(0)
    logits = torch.randn(5, 4, dtype=torch.float64)
    soft = torch.rand(5, 4, dtype=torch.float64)
    soft /= soft.sum(1, keepdim=True)
    for loss in (label_smoothing, generalized_cross_entropy):
        expected = sum(
            soft[i, k] * loss(logits[i : i + 1], torch.tensor([k])) / 5
            for i in range(5)
            for k in range(4)
        )
        torch.testing.assert_close(loss(logits, soft), expected)
