import pytest
import torch
import torch.nn.functional as F
from method_steps import set_up, step

from pyg_agfn.methods import ErasingAttention
from pyg_agfn.methods.erasing_attention import features_and_maps
from pyg_agfn.nn import BaselineClassifier


def build(kind=BaselineClassifier, backbone="small-cnn"):
    torch.manual_seed(0)
    return kind(backbone, 3, in_channels=1).train()


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
    mirrored = images.flip(-1) + 0.1
    method = set_up(ErasingAttention(F.cross_entropy, weight=2.0), model)
    out = step(method, images, labels, index, mirrored=mirrored)
    _, first = features_and_maps(model.backbone, images)
    _, second = features_and_maps(model.backbone, mirrored)
    total, count = 0.0, 0
    for n in range(12):
        for k, weights in enumerate(model.classifier.weight):
            one = sum(w * m for w, m in zip(weights, first[n], strict=True))
            two = sum(w * m for w, m in zip(weights, second[n], strict=True))
            total += (one - two[:, range(two.size(1) - 1, -1, -1)]).square().sum().item()
            count += one.numel()
            assert k < 3
    expected = F.cross_entropy(out.logits, labels).item() + 2.0 * total / count
    assert out.loss.item() == pytest.approx(expected, rel=1e-4)
    assert total > 0


def test_attention_consistency_gives_the_classifier_no_gradient(batch):
    images, labels, index = batch
    model = build()
    method = set_up(ErasingAttention(lambda logits, labels: 0 * logits.sum()), model)
    step(method, images, labels, index, mirrored=images.flip(-1) + 0.1).loss.backward()
    assert model.classifier.weight.grad.abs().max() == 0
    assert all(p.grad.abs().max() > 0 for p in model.backbone.parameters() if p.dim() == 4)
