"""Feature extractors, [N, C, H, W] images to [N, F] features.

Sources: He et al., *Deep Residual Learning for Image Recognition* (torchvision's ResNets).
"""

from typing import cast

import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn

RESNETS = ("resnet18", "resnet34", "resnet50", "resnet152")
BACKBONES = ("small-cnn", *RESNETS)


class SmallCNN(nn.Sequential):
    r"""Four 3x3 convolutions for images of a few pixels, such as scikit-learn's 8x8 digits.

    Shapes:
        - **input:** :math:`(N, C, H, W)`, :math:`H, W \geq 4`
        - **output:** :math:`(N, 128)`
    """

    num_features = 128

    def __init__(self, in_channels: int = 1) -> None:
        def block(fan_in: int, fan_out: int) -> list[nn.Module]:
            conv = nn.Conv2d(fan_in, fan_out, 3, padding=1, bias=False)
            return [conv, nn.BatchNorm2d(fan_out), nn.ReLU(inplace=True)]

        super().__init__(
            *block(in_channels, 32),
            *block(32, 64),
            nn.MaxPool2d(2),
            *block(64, 128),
            *block(128, self.num_features),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )


class _TinyMapConv2d(nn.Conv2d):
    # The same 3x3 convolution. Where the result has at most 2x2 pixels, as in layer4 of a ResNet
    # that sees a 48x48 image, most of each window is padding and the CPU's convolutions are the
    # slowest part of the whole step. There, one matrix product for each pixel, over what its
    # window has inside the map, takes a fraction of the time (benchmarks/backbone.py).
    def forward(self, x: Tensor) -> Tensor:
        n, _, height, width = x.shape
        (stride, _), (padding, _) = self.stride, cast(tuple[int, int], self.padding)
        tops = range(-padding, height + padding - 2, stride)
        lefts = range(-padding, width + padding - 2, stride)
        if len(tops) * len(lefts) > 4 or x.device.type != "cpu":
            return super().forward(x)
        pixels = []
        for top in tops:
            for left in lefts:
                rows = slice(max(top, 0), min(top + 3, height))
                columns = slice(max(left, 0), min(left + 3, width))
                window = x[:, :, rows, columns].permute(0, 2, 3, 1)
                weight = self.weight[
                    :,
                    :,
                    rows.start - top : rows.stop - top,
                    columns.start - left : columns.stop - left,
                ].permute(0, 2, 3, 1)
                pixels.append(F.linear(window.flatten(1), weight.flatten(1)))
        return torch.stack(pixels, 1).view(n, len(tops), len(lefts), -1).permute(0, 3, 1, 2)


def resnet(name: str, in_channels: int = 3) -> nn.Module:
    r"""Torchvision's ResNet without its classifier, randomly initialized.

    Args:
        name (str): ``"resnet18"``, ``"resnet34"``, ``"resnet50"`` or ``"resnet152"``.
        in_channels (int): 1 for grey images, 3 for colour. (default: :obj:`3`)

    Shapes:
        - **input:** :math:`(N, C, H, W)`
        - **output:** :math:`(N, F)`, F in attribute ``num_features``
    """
    model: nn.Module = torchvision.models.get_model(name, weights=None)
    if in_channels != 3:
        model.conv1 = nn.Conv2d(in_channels, 64, 7, stride=2, padding=3, bias=False)
        nn.init.kaiming_normal_(model.conv1.weight, mode="fan_out", nonlinearity="relu")
    model.num_features = cast(nn.Linear, model.fc).in_features  # type: ignore[assignment]
    model.fc = nn.Identity()
    late_stages = nn.ModuleList([cast(nn.Module, model.layer3), cast(nn.Module, model.layer4)])
    for module in late_stages.modules():
        if isinstance(module, nn.Conv2d) and module.kernel_size == (3, 3):
            module.__class__ = _TinyMapConv2d
    return model


def build_backbone(name: str, in_channels: int = 3) -> nn.Module:
    """A feature extractor by its name, one of :data:`BACKBONES`.

    Raises:
        ValueError: Unknown name.
    """
    if name == "small-cnn":
        return SmallCNN(in_channels)
    if name in RESNETS:
        return resnet(name, in_channels)
    raise ValueError(f"unknown backbone {name!r}, choose one of {', '.join(BACKBONES)}")
