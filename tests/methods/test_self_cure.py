import pytest
import torch
import torch.nn.functional as F
from method_steps import set_up, step

from pyg_agfn.methods import SCNClassifier, SelfCure


def build() -> SCNClassifier:
    torch.manual_seed(0)
    return SCNClassifier("small-cnn", 3, in_channels=1).train()


def test_scn_scales_the_logits_of_each_sample_and_keeps_their_order(batch):
    images, _, _ = batch
    model = build().eval()
    features = model.features(images)
    weight = model.attention[0]
    alpha = torch.sigmoid(features @ weight.weight[0] + weight.bias)
    plain = model.classifier(features)
    torch.testing.assert_close(model(images), alpha[:, None] * plain)
    assert torch.equal(model(images).argmax(1), plain.argmax(1))


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ([0.9] * 7 + [0.1] * 3, 0.0),  # apart by 0.8
        ([0.5] * 10, 0.15),
        ([0.6, 0.4] * 5, 0.15 - ((5 * 0.6 + 2 * 0.4) / 7 - 0.4)),
        ([0.5], 0.0),  # one group is empty
    ],
)
def test_rank_regularization_wants_the_groups_apart(weights, expected):
    found = SelfCure(F.cross_entropy).rank_loss(torch.tensor(weights))
    assert float(found) == pytest.approx(expected, abs=1e-6)


def test_scn_adds_its_two_losses(batch):
    images, labels, index = batch
    model = build()
    method = set_up(SelfCure(F.cross_entropy), model)
    out = step(method, images, labels, index)
    weights = model.attention(model.features(images)).squeeze(1)
    expected = F.cross_entropy(out.logits, labels) + method.rank_loss(weights)
    torch.testing.assert_close(out.loss, expected)
    assert method.rank_loss(weights) > 0


def test_scn_relabels_from_its_epoch_on_what_another_class_beats_by_the_margin(batch):
    images, labels, index = batch
    model = build()
    with torch.no_grad():
        model.classifier.bias[2] = 20.0  # everything looks like class 2
    method = set_up(SelfCure(F.cross_entropy), model)
    for _ in range(2):
        targets = step(method, images, labels, index, 9).targets
    assert torch.equal(targets, labels)
    step(method, images, labels, index, 10)  # relabels, for the next pass
    assert step(method, images, labels, index, 11).targets.tolist() == [2] * 12
    other = step(method, images, labels, index - 50, 11).targets  # other images keep theirs
    assert torch.equal(other, labels)


def test_scn_does_not_relabel_within_the_margin():
    method = set_up(SelfCure(F.cross_entropy), build(), 5)
    labels, index = torch.tensor([0, 0]), torch.tensor([3, 4])
    p = torch.tensor([[0.41, 0.59], [0.39, 0.61]])  # ahead by 0.18 and by 0.22
    method.relabel(p.log(), labels, index)
    assert method.current_labels(labels, index).tolist() == [0, 1]
