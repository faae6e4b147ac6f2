"""ResNets: torchvision's, and the same with a stem for small images.

Source: He et al., *Deep Residual Learning for Image Recognition*. Its networks for 32x32 images
begin with a 3x3 convolution of stride 1, as the small ones here do.
"""

from functools import partial
from typing import Any, cast

from torch import nn

from pyg_agfn.nn.tiny_maps import TinyMapConv2d
from pyg_agfn.registry import register_backbone

RESNETS = ("resnet18", "resnet34", "resnet50", "resnet152")
SMALL_RESNETS = ("resnet18", "resnet34")


def resnet(name: str, in_channels: int = 3, **arguments: Any) -> nn.Module:
    r"""Torchvision's ResNet without its classifier, randomly initialized.

    Args:
        name (str): ``"resnet18"``, ``"resnet34"``, ``"resnet50"`` or ``"resnet152"``.
        in_channels (int): 1 for grey images, 3 for colour. (default: :obj:`3`)
        **arguments: Of torchvision's constructor, such as ``zero_init_residual``.

    Shapes:
        - **input:** :math:`(N, C, H, W)`
        - **output:** :math:`(N, F)`, F in attribute ``num_features``
    """
    import torchvision  # takes seconds, which other backbones need not wait for

    model: nn.Module = torchvision.models.get_model(name, weights=None, **arguments)
    if in_channels != 3:
        model.conv1 = nn.Conv2d(in_channels, 64, 7, stride=2, padding=3, bias=False)
        nn.init.kaiming_normal_(model.conv1.weight, mode="fan_out", nonlinearity="relu")
    model.num_features = cast(nn.Linear, model.fc).in_features  # type: ignore[assignment]
    model.fc = nn.Identity()
    late_stages = nn.ModuleList([cast(nn.Module, model.layer3), cast(nn.Module, model.layer4)])
    for module in late_stages.modules():
        if isinstance(module, nn.Conv2d) and module.kernel_size == (3, 3):
            module.__class__ = TinyMapConv2d
    return model


def small_resnet(name: str, in_channels: int = 3, **arguments: Any) -> nn.Module:
    r"""The same for images of up to 64 pixels: a 3x3 stem of stride 1, and no max-pooling.

    A 48x48 image has 6x6 pixels in the last stage, where torchvision's stem leaves 2x2. A step
    takes about 14 times as many multiplications.

    Args:
        name (str): ``"resnet18"`` or ``"resnet34"``.
        in_channels (int): 1 for grey images, 3 for colour. (default: :obj:`3`)
        **arguments: Of torchvision's constructor.

    Shapes:
        - **input:** :math:`(N, C, H, W)`
        - **output:** :math:`(N, 512)`
    """
    model = resnet(name, **arguments)
    model.conv1 = nn.Conv2d(in_channels, 64, 3, padding=1, bias=False)
    nn.init.kaiming_normal_(model.conv1.weight, mode="fan_out", nonlinearity="relu")
    model.maxpool = nn.Identity()
    return model


for _name in RESNETS:
    register_backbone(_name, module=__name__)(partial(resnet, _name))
for _name in SMALL_RESNETS:
    register_backbone(f"{_name}-small", module=__name__)(partial(small_resnet, _name))
