"""Feature extractors, [N, C, H, W] images to [N, F] features.

Sources: He et al., *Deep Residual Learning for Image Recognition* (torchvision's ResNets).
"""

from functools import partial
from typing import Any, cast

import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from pyg_agfn.registry import BACKBONES, register_backbone

RESNETS = ("resnet18", "resnet34", "resnet50", "resnet152")


@register_backbone("small-cnn")
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


class _WindowProducts(torch.autograd.Function):
    # y[:, o] = x[window of o] W[inside the map]^T for each output pixel o, and its gradients, all
    # of a weight's collected in one buffer. Autograd's own would fill a whole weight with zeros for
    # each window, which is most of the time that such a layer would take.
    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any, x: Tensor, weight: Tensor, tops: range, lefts: range, dtype: torch.dtype
    ) -> Tensor:
        pixels = x.to(dtype).permute(0, 2, 3, 1)
        taps = weight.to(dtype).permute(0, 2, 3, 1).contiguous()

        def clip(start: int, side: int) -> tuple[slice, slice]:
            return slice(max(start, 0), min(start + 3, side)), slice(max(-start, 0), side - start)

        every = slice(None)
        ctx.windows = [
            ((every, rows, columns), (every, down, across))
            for rows, down in (clip(top, x.size(2)) for top in tops)
            for columns, across in (clip(left, x.size(3)) for left in lefts)
        ]
        products = [
            F.linear(pixels[inside].flatten(1), taps[of_kernel].flatten(1))
            for inside, of_kernel in ctx.windows
        ]
        ctx.save_for_backward(pixels, taps)
        ctx.dtypes = x.dtype, weight.dtype
        shape = (len(x), len(tops), len(lefts), len(weight))
        return torch.stack(products, 1).view(shape).permute(0, 3, 1, 2)

    @staticmethod
    @once_differentiable
    def backward(  # type: ignore[override]
        ctx: Any, gradient: Tensor
    ) -> tuple[Tensor | None, Tensor | None, None, None, None]:
        pixels, taps = ctx.saved_tensors
        x_dtype, weight_dtype = ctx.dtypes
        of_products = gradient.to(pixels.dtype).permute(0, 2, 3, 1).flatten(1, 2).unbind(1)
        of_pixels = torch.zeros(
            pixels.shape, dtype=torch.promote_types(pixels.dtype, torch.float32)
        )
        of_taps = torch.zeros(taps.shape, dtype=weight_dtype)
        for (inside, of_kernel), of_product in zip(ctx.windows, of_products, strict=True):
            window, kernel = pixels[inside], taps[of_kernel]
            of_pixels[inside] += (of_product @ kernel.flatten(1)).view_as(window)
            of_taps[of_kernel] += (of_product.mT @ window.flatten(1)).view_as(kernel)
        of_x = of_pixels.to(x_dtype).permute(0, 3, 1, 2)
        return of_x, of_taps.permute(0, 3, 1, 2), None, None, None


class _TinyMapConv2d(nn.Conv2d):
    # The same 3x3 convolution. Where the result has at most 3x3 pixels, as in the last two stages
    # of a ResNet that sees a 48x48 image, much of each window is padding and the CPU's convolutions
    # are the slowest part of the whole step. There, one matrix product for each pixel, over what
    # its window has inside the map, takes a fraction of the time (benchmarks/backbone.py).
    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        (stride, _), (padding, _) = self.stride, cast(tuple[int, int], self.padding)
        tops = range(-padding, height + padding - 2, stride)
        lefts = range(-padding, width + padding - 2, stride)
        if (
            len(tops) * len(lefts) > 9
            or x.device.type != "cpu"
            or torch.compiler.is_compiling()  # or exporting: a convolution is what others know
        ):
            return super().forward(x)
        lower = torch.is_autocast_enabled("cpu")
        dtype = torch.get_autocast_dtype("cpu") if lower else x.dtype
        return cast(Tensor, _WindowProducts.apply(x, self.weight, tops, lefts, dtype))


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


for _name in RESNETS:
    register_backbone(_name, module=__name__)(partial(resnet, _name))


def build_backbone(name: str, in_channels: int = 3) -> nn.Module:
    """A feature extractor by its name, one of :data:`pyg_agfn.registry.BACKBONES`.

    Raises:
        InputError: Unknown name.
    """
    return BACKBONES[name](in_channels)
