import torch
import torch.nn.functional as F
from method_steps import set_up, step

from pyg_agfn.methods import RelativeUncertainty, RULClassifier
from pyg_agfn.methods.relative_uncertainty import mix_by_uncertainty


def build() -> RULClassifier:
    torch.manual_seed(0)
    return RULClassifier("small-cnn", 3, in_channels=1).train()


def test_the_settings_are_those_of_the_authors_code():
    """zyh-uaiaaaa/Relative-Uncertainty-Learning, src/rul.py: drop_rate, out_dim, eps."""
    model = build()
    for branch in (model.mean, model.log_variance):
        first, dropout, linear, last = branch
        assert (first.eps, first.affine, last.eps, last.affine) == (2e-5, False, 2e-5, True)
        assert (dropout.p, linear.out_features) == (0.4, 64)
    assert model.classifier.in_features == 64


def test_the_larger_share_is_that_of_the_less_certain_image():
    mean, uncertainty = torch.randn(5, 4), torch.tensor([1.0, 3.0, 0.5, 2.0, 2.0])
    order = torch.tensor([1, 0, 3, 4, 2])
    mixed = mix_by_uncertainty(mean, uncertainty, order)
    for i, j in enumerate(order.tolist()):
        own, other = uncertainty[i], uncertainty[j]
        torch.testing.assert_close(mixed[i], (own * mean[i] + other * mean[j]) / (own + other))
    torch.testing.assert_close(mixed[0], mixed[1])  # both are 1/4 of the first, 3/4 of the second


def test_the_add_up_loss_is_the_mean_of_both_labels_losses(batch):
    images, labels, index = batch
    model = build()
    for branch in (model.mean, model.log_variance):
        branch[1].p = 0.0
    method = set_up(RelativeUncertainty(), model)
    torch.manual_seed(3)
    out = step(method, images, labels, index)
    torch.manual_seed(3)
    order = torch.randperm(12)
    x = model.features(images)
    mean, uncertainty = model.mean(x), model.log_variance(x).exp().mean(1)
    total = 0.0
    for i in range(12):
        j = int(order[i])
        share = uncertainty[i] / (uncertainty[i] + uncertainty[j])
        logits = model.classifier(share * mean[i] + (1 - share) * mean[j])
        for label in (labels[i], labels[j]):
            total += 0.5 * F.cross_entropy(logits, label) / 12
    torch.testing.assert_close(out.loss, total)
    torch.testing.assert_close(out.logits, model.classifier(mean))
    assert torch.equal(out.targets, labels)


def test_the_uncertainty_is_learned_through_the_shares(batch):
    images, labels, index = batch
    model = build()
    step(set_up(RelativeUncertainty(), model), images, labels, index).loss.backward()
    assert model.log_variance[2].weight.grad.abs().max() > 0


def test_in_evaluation_the_mean_is_classified(batch):
    model = build().eval()
    x = model.features(batch[0])
    before = model(batch[0])
    torch.testing.assert_close(before, model.classifier(model.mean(x)))
    torch.nn.init.zeros_(model.log_variance[2].weight)
    assert torch.equal(model(batch[0]), before)
