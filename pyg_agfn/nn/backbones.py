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
    # The same 3x3 convolution. On maps of at most 2x2 pixels, which is what layer4 of a ResNet
    # sees of a 48x48 image, the CPU's kernel for the weights' gradient is the slowest part of the
    # whole step; there, a matrix product over the gathered windows halves the step
    # (benchmarks/backbone.py).
    def forward(self, x: Tensor) -> Tensor:
        n, _, height, width = x.shape
        (stride, _), (padding, _) = self.stride, cast(tuple[int, int], self.padding)
        rows = range(0, height + 2 * padding - 2, stride)
        columns = range(0, width + 2 * padding - 2, stride)
        if len(rows) * len(columns) > 4 or x.device.type != "cpu":
            return super().forward(x)
        padded = F.pad(x.permute(0, 2, 3, 1), (0, 0, padding, padding, padding, padding))
        windows = torch.stack([padded[:, i : i + 3, j : j + 3] for i in rows for j in columns], 1)
        weight = self.weight.permute(2, 3, 1, 0).reshape(-1, self.out_channels)
        out = windows.reshape(n * len(rows) * len(columns), -1) @ weight
        return out.view(n, len(rows), len(columns), -1).permute(0, 3, 1, 2)


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
    for module in cast(nn.Module, model.layer4).modules():
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
