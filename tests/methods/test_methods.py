import pytest
import torch
import torch.nn.functional as F

from pyg_agfn.methods import (
    CenterLoss,
    ErasingAttention,
    Objective,
    SCNClassifier,
    SelfCure,
    generalized_cross_entropy,
    label_smoothing,
    make_objective,
)
from pyg_agfn.methods.erasing_attention import features_and_maps
from pyg_agfn.nn import BaselineClassifier


@pytest.fixture
def batch():
    torch.manual_seed(1)
    return torch.randn(12, 1, 8, 8), torch.arange(12) % 3, torch.arange(100, 112)  # of 120 images


def build(kind=BaselineClassifier, backbone="small-cnn"):
    torch.manual_seed(0)
    return kind(backbone, 3, in_channels=1).train()


def test_the_published_settings_are_the_defaults():
    """Those of the authors' code where there is one; the source is in each docstring."""
    center = make_objective("center-loss", F.cross_entropy)
    assert (type(center), center.weight, center.rate) == (CenterLoss, 0.008, 0.5)
    cure = make_objective("scn", F.cross_entropy)
    assert type(cure) is SelfCure
    assert (cure.high_share, cure.rank_margin) == (0.7, 0.15)
    assert (cure.relabel_margin, cure.relabel_epoch) == (0.2, 10)
    attention = make_objective("eac", F.cross_entropy)
    assert (type(attention), attention.weight) == (ErasingAttention, 5.0)
    logits, labels = torch.randn(6, 4), torch.arange(6) % 4
    for method, reference in {
        "label-smoothing": label_smoothing(logits, labels, epsilon=0.1),
        "gce": generalized_cross_entropy(logits, labels, q=0.7),
        "baseline": F.cross_entropy(logits, labels),
        "agfn": F.cross_entropy(logits, labels),
    }.items():
        objective = make_objective(method, F.cross_entropy)
        assert type(objective) is Objective
        assert objective.criterion(logits, labels) == reference


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


def test_center_loss_and_its_centers_are_equations_2_and_4(batch):
    images, labels, index = batch
    model = build()
    objective = CenterLoss(F.cross_entropy, weight=0.3, rate=0.5)
    objective.begin(model, 12)
    features = model.features(images).double()
    centers = torch.zeros(3, features.size(1), dtype=torch.float64)
    for _ in range(3):
        loss, logits, targets = objective(model, images, labels, index, 1)
        apart = sum((features[i] - centers[labels[i]]).square().sum() for i in range(12))
        expected = F.cross_entropy(model.head(features.float()), labels) + 0.3 * apart / 24
        torch.testing.assert_close(loss.double(), expected, rtol=1e-5, atol=1e-6)
        for j in range(3):
            own = features[labels == j]
            centers[j] -= 0.5 * (centers[j] - own).sum(0) / (1 + len(own))
        torch.testing.assert_close(objective.centers.double(), centers, rtol=1e-5, atol=1e-6)
        assert not objective.centers.requires_grad
    assert torch.equal(targets, labels)
    assert logits.shape == (12, 3)


def test_a_center_without_a_sample_stays(batch):
    images, labels, index = batch
    objective = CenterLoss(F.cross_entropy)
    objective.begin(build(), 12)
    objective(build(), images, labels, index, 1)
    before = objective.centers.clone()
    objective(build(), images, torch.zeros_like(labels), index, 1)
    assert torch.equal(objective.centers[1:], before[1:])
    assert not torch.equal(objective.centers[0], before[0])


def test_scn_scales_the_logits_of_each_sample_and_keeps_their_order(batch):
    images, _, _ = batch
    model = build(SCNClassifier).eval()
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
    model = build(SCNClassifier)
    objective = SelfCure(F.cross_entropy)
    objective.begin(model, 120)
    loss, logits, _ = objective(model, images, labels, index, 1)
    weights = model.attention(model.features(images)).squeeze(1)
    expected = F.cross_entropy(logits, labels) + objective.rank_loss(weights)
    torch.testing.assert_close(loss, expected)
    assert objective.rank_loss(weights) > 0


def test_scn_relabels_from_its_epoch_on_what_another_class_beats_by_the_margin(batch):
    images, labels, index = batch
    model = build(SCNClassifier)
    with torch.no_grad():
        model.classifier.bias[2] = 20.0  # everything looks like class 2
    objective = SelfCure(F.cross_entropy)
    objective.begin(model, 120)
    for _ in range(2):
        targets = objective(model, images, labels, index, 9)[2]
    assert torch.equal(targets, labels)
    objective(model, images, labels, index, 10)  # relabels, for the next pass
    targets = objective(model, images, labels, index, 11)[2]
    assert targets.tolist() == [2] * 12
    other = objective(model, images, labels, index - 50, 11)[2]  # other images keep theirs
    assert torch.equal(other, labels)


def test_scn_does_not_relabel_within_the_margin():
    objective = SelfCure(F.cross_entropy)
    objective.begin(build(SCNClassifier), 5)
    labels, index = torch.tensor([0, 0]), torch.tensor([3, 4])
    p = torch.tensor([[0.41, 0.59], [0.39, 0.61]])  # ahead by 0.18 and by 0.22
    objective.relabel(p.log(), labels, index)
    assert objective.current_labels(labels, index).tolist() == [0, 1]


@pytest.mark.parametrize("backbone", ["small-cnn", "resnet18"])
def test_the_maps_average_to_the_features(backbone):
    model = build(backbone=backbone).eval()
    images = torch.randn(2, 1, 40, 40)
    features, maps = features_and_maps(model.backbone, images)
    torch.testing.assert_close(features, model.features(images))
    torch.testing.assert_close(maps.mean((2, 3)), features)
    with pytest.raises(ValueError, match="Flatten does not end in"):
        features_and_maps(torch.nn.Flatten(), images)


def test_attention_consistency_is_the_mean_square_of_the_flipped_maps(batch):
    images, labels, index = batch
    model = build()
    views = torch.cat([images, images.flip(-1) + 0.1])
    loss, logits, _ = ErasingAttention(F.cross_entropy, weight=2.0)(model, views, labels, index, 1)
    _, first = features_and_maps(model.backbone, views[:12])
    _, second = features_and_maps(model.backbone, views[12:])
    total, count = 0.0, 0
    for n in range(12):
        for k, weights in enumerate(model.classifier.weight):
            one = sum(w * m for w, m in zip(weights, first[n], strict=True))
            two = sum(w * m for w, m in zip(weights, second[n], strict=True))
            total += (one - two[:, range(two.size(1) - 1, -1, -1)]).square().sum().item()
            count += one.numel()
            assert k < 3
    expected = F.cross_entropy(logits, labels).item() + 2.0 * total / count
    assert loss.item() == pytest.approx(expected, rel=1e-4)
    assert total > 0


def test_attention_consistency_gives_the_classifier_no_gradient(batch):
    images, labels, index = batch
    model = build()
    views = torch.cat([images, images.flip(-1) + 0.1])
    nothing = ErasingAttention(lambda logits, labels: 0 * logits.sum())
    nothing(model, views, labels, index, 1)[0].backward()
    assert model.classifier.weight.grad.abs().max() == 0
    assert all(p.grad.abs().max() > 0 for p in model.backbone.parameters() if p.dim() == 4)
