"""Images as batches have them, to what a backbone expects."""

import pytest
import torch
from torch import nn

from pyg_agfn.datasets.augmentation import to_float
from pyg_agfn.nn import InputConvention, InputNormalization
from pyg_agfn.nn.input_normalization import NormalizedBackbone, inner_backbone

PIXELS = torch.arange(256, dtype=torch.uint8).repeat(6)[: 8 * 3 * 4 * 5].view(8, 3, 4, 5)


@pytest.mark.parametrize("scale", [1, 255])
@pytest.mark.parametrize("order", [None, "rgb", "bgr"])
def test_it_is_the_pixels_less_the_mean_over_the_deviation(scale, order):
    mean, std = (0.1 * scale, 0.2 * scale, 0.3 * scale), (0.5 * scale, 2.0, 3.0)
    layer = InputNormalization(InputConvention(mean, std, scale, order), 3, 3)
    pixels = PIXELS.double() / 255 * scale
    if order == "bgr":
        pixels = pixels[:, [2, 1, 0]]
    for channel in range(3):
        expected = (pixels[:, channel] - mean[channel]) / std[channel]
        found = layer(to_float(PIXELS))[:, channel].double()
        torch.testing.assert_close(found, expected, atol=2e-5, rtol=1e-5)


def test_what_is_open_is_0_1_and_a_range_of_1():
    found = InputNormalization(InputConvention(order="rgb"), 3, 3)(to_float(PIXELS))
    torch.testing.assert_close(found, PIXELS.float() / 255, atol=1e-6, rtol=0)


def test_grey_images_become_three_equal_channels_of_the_same_scale():
    grey = to_float(PIXELS[:, :1])
    found = InputNormalization(InputConvention(), 1, 3)(grey)
    torch.testing.assert_close(found, grey.expand(-1, 3, -1, -1), atol=0, rtol=0)


def test_each_of_the_three_has_its_own_mean():
    found = InputNormalization(InputConvention(mean=(1.0, 2.0, 3.0), range=255), 1, 3)(
        to_float(PIXELS[:, :1])
    )
    expected = PIXELS[:, :1].float() - torch.tensor([1.0, 2.0, 3.0]).view(1, 3, 1, 1)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-5)


def test_it_stands_in_front_of_the_backbone_and_is_saved_with_it():
    inner = nn.Flatten()
    inner.num_features = 60
    front = InputNormalization(InputConvention(mean=(0.25,)), 3, 3)
    backbone = NormalizedBackbone(front, inner)
    images = to_float(PIXELS)
    assert torch.equal(backbone(images), front(images).flatten(1))
    assert backbone.num_features == 60
    assert {name.rpartition(".")[2] for name in backbone.state_dict()} == {"mean", "std", "scale"}
    assert inner_backbone(backbone) is inner
    assert inner_backbone(inner) is inner
