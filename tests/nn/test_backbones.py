"""Backbones by their names, with arguments and without."""

import pytest
import torch

from pyg_agfn.errors import InputError
from pyg_agfn.nn import build_backbone
from pyg_agfn.registry import BACKBONES

NAMES = ("resnet18-small", "resnet34-small", "face-cnn", "torchvision/mobilenet_v3_small")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("channels", [1, 3])
def test_backbones_yield_their_features(name, channels):
    backbone = build_backbone(name, channels).eval()
    with torch.no_grad():
        features = backbone(torch.randn(2, channels, 32, 32))
    assert features.shape == (2, backbone.num_features)


def test_arguments_reach_the_constructor():
    assert build_backbone("resnet18", 3, {"width_per_group": 64}).conv1.out_channels == 64
    assert build_backbone("face-cnn", 1, {"negative_slope": 0.2})[3].negative_slope == 0.2
    assert build_backbone("small-cnn", 1, {"width": 8}).num_features == 32
    gamma = build_backbone("resnet34-small", 1, {"zero_init_residual": True}).layer1[0].bn2.weight
    assert not gamma.any()


@pytest.mark.parametrize("name", ["resnet18", "small-cnn", "torchvision/resnet18"])
def test_an_unknown_argument_is_one_line(name):
    with pytest.raises(InputError) as error:
        build_backbone(name, 3, {"layers": 3})
    line = f"--backbone {name} with --backbone-arg layers=3 cannot be built: TypeError: "
    assert str(error.value).startswith(line)
    assert "\n" not in str(error.value)


def test_a_network_without_channels_is_refused():
    with pytest.raises(InputError, match="width must be at least 1, got 0"):
        build_backbone("small-cnn", 1, {"width": 0})


def test_a_reserved_argument_is_refused_before_anything_is_built():
    with pytest.raises(InputError, match="--backbone-arg weights: cannot be given"):
        build_backbone("torchvision/resnet18", 3, {"weights": "DEFAULT"})


def test_a_family_is_no_name_of_the_registry_but_its_names_are_known():
    assert "torchvision/resnet18" in BACKBONES
    assert not [name for name in BACKBONES if "/" in name]
    for name in ("torchvision/", "torchvision", "torchvision/resnet18/x", "other/resnet18", "/"):
        assert name not in BACKBONES
    assert BACKBONES.family_of("torchvision/anything") == "torchvision"
    assert BACKBONES.family_of("resnet18") is BACKBONES.family_of(3) is None


def test_an_unknown_name_of_no_family_names_the_families():
    with pytest.raises(InputError, match=r"resnet152.*timm/NAME, torchvision/NAME"):
        BACKBONES["vgg"]
