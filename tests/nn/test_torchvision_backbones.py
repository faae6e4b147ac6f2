"""Models of torchvision as backbones."""

import pytest
import torch
import torchvision
from torch import nn

from pyg_agfn.errors import InputError
from pyg_agfn.nn import build_backbone
from pyg_agfn.registry import BACKBONES

#: One of each kind of classifier, and the size of image that it takes.
KINDS = {
    "alexnet": 64,
    "convnext_tiny": 32,
    "densenet121": 32,
    "googlenet": 32,
    "maxvit_t": 224,
    "regnet_y_400mf": 32,
    "shufflenet_v2_x0_5": 32,
    "squeezenet1_1": 32,
    "swin_t": 32,
    "vit_b_32": 224,
}


@pytest.mark.parametrize("name", KINDS)
def test_they_yield_their_features_without_a_classifier(name):
    with torch.device("meta"):
        backbone = build_backbone(f"torchvision/{name}", 1)
        features = backbone(torch.randn(2, 1, KINDS[name], KINDS[name]))
    assert features.shape == (2, backbone.num_features)
    assert not any(isinstance(m, nn.Linear) and m.out_features == 1000 for m in backbone.modules())


def test_behind_the_classifiers_removal_it_is_torchvisions():
    theirs = torchvision.models.mobilenet_v2().eval()
    ours = build_backbone("torchvision/mobilenet_v2").eval()
    ours.load_state_dict(
        {k: v for k, v in theirs.state_dict().items() if not k.startswith("classifier")}
    )
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(theirs.classifier[1](ours(images)), theirs(images))


def test_only_classification_models_are_known():
    names = torchvision.models.list_models(module=torchvision.models)
    assert all(f"torchvision/{name}" in BACKBONES for name in names)
    assert "torchvision/fasterrcnn_resnet50_fpn" not in BACKBONES
    with pytest.raises(InputError, match="near it are torchvision/resnet18"):
        BACKBONES["torchvision/resnet_18"]
