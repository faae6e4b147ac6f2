import pytest
import torch
import torch.nn.functional as F
from method_steps import set_up, step

from pyg_agfn.methods import RANClassifier, RegionAttention
from pyg_agfn.methods.region_attention import REGIONS, crop_regions


def build() -> RANClassifier:
    torch.manual_seed(0)
    return RANClassifier("small-cnn", 3, in_channels=1).train()


def test_the_settings_are_the_papers():
    """Wang et al., IEEE TIP 2020: margin 0.02, five regions at fixed places."""
    assert RegionAttention().margin == 0.02
    sizes = [(right - left, bottom - top) for left, top, right, bottom in REGIONS]
    assert sizes == [(pytest.approx(s), pytest.approx(s)) for s in (0.75, 0.75, 0.75, 0.9, 0.8)]


def test_regions_are_crops_resized_to_the_image():
    images = torch.rand(2, 3, 40, 40)
    crops = crop_regions(images).unflatten(0, (6, 2))
    assert torch.equal(crops[0], images)
    for crop, (left, top, right, bottom) in zip(crops[1:], REGIONS, strict=True):
        rows, columns = (
            slice(round(40 * a), round(40 * b)) for a, b in ((top, bottom), (left, right))
        )
        expected = F.interpolate(images[..., rows, columns], size=(40, 40), mode="bilinear")
        inside = (..., slice(2, -2), slice(2, -2))  # at the edge a crop sees the pixels beside it
        torch.testing.assert_close(crop[inside], expected[inside], rtol=0, atol=1e-4)


def test_images_that_are_not_square_are_cropped_along_each_side():
    rows = torch.arange(20.0).view(1, 1, 20, 1).expand(1, 1, 20, 40)
    found = crop_regions(rows)[3]  # center down: from a quarter of the height on
    assert float(found.mean()) == pytest.approx(20 * 0.625 - 0.5, abs=0.01)


def test_two_attentions_weigh_the_regions(batch):
    model = build().eval()
    images = batch[0]
    for n in range(3):
        x = [model.backbone(crop)[0] for crop in crop_regions(images[n : n + 1]).split(1)]
        mu = [torch.sigmoid(model.self_attention(f)) for f in x]
        content = sum(m * f for m, f in zip(mu, x, strict=True)) / sum(mu)
        pairs = [torch.cat([f, content]) for f in x]
        nu = [torch.sigmoid(model.relation_attention(pair)) for pair in pairs]
        weights = [a * b for a, b in zip(mu, nu, strict=True)]
        p = sum(w * pair for w, pair in zip(weights, pairs, strict=True)) / sum(weights)
        found, attention = model.attend(images)
        torch.testing.assert_close(found[n], p, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(attention[:, n], torch.cat(mu), rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(model(images)[n], model.classifier(p), rtol=1e-4, atol=1e-5)


def test_some_region_is_to_be_ahead_of_the_image_by_the_margin():
    attention = torch.tensor([[0.5, 0.5, 0.5], [0.51, 0.2, 0.9], [0.1, 0.4, 0.8]])
    loss = RegionAttention(margin=0.02).region_loss(attention)
    assert float(loss) == pytest.approx((0.01 + 0.12 + 0) / 3, abs=1e-6)


def test_a_step_adds_its_two_losses(batch):
    images, labels, index = batch
    model = build()
    method = set_up(RegionAttention(margin=0.3), model)
    out = step(method, images, labels, index)
    x, attention = model.attend(images)
    assert method.region_loss(attention) > 0
    expected = F.cross_entropy(model.head(x), labels) + method.region_loss(attention)
    torch.testing.assert_close(out.loss, expected)
