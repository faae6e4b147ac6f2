"""The stem for small images."""

import torch
import torchvision
from torch import nn

from pyg_agfn.nn import build_backbone


def test_the_small_stem_keeps_the_resolution():
    model = build_backbone("resnet18-small", 1)
    assert model.conv1.weight.shape == (64, 1, 3, 3)
    sizes = []
    for stage in (model.layer1, model.layer4):
        stage.register_forward_hook(lambda module, given, out: sizes.append(tuple(out.shape)))
    model(torch.randn(2, 1, 48, 48))
    assert sizes == [(2, 64, 48, 48), (2, 512, 6, 6)]


def test_it_is_torchvisions_network_behind_the_stem():
    ours = build_backbone("resnet34-small", 3).double().eval()
    theirs = torchvision.models.resnet34()
    theirs.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
    theirs.maxpool, theirs.fc = nn.Identity(), nn.Identity()
    theirs.double().eval().load_state_dict(ours.state_dict())
    images = torch.randn(2, 3, 24, 24).double()
    with torch.no_grad():
        torch.testing.assert_close(ours(images), theirs(images), atol=1e-9, rtol=1e-9)
