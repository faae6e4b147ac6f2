"""3x3 convolutions of maps of a few pixels."""

from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


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


class TinyMapConv2d(nn.Conv2d):
    """A 3x3 convolution that is faster on a CPU where its result has at most 3x3 pixels.

    So it is in the last two stages of a ResNet that sees a 48x48 image. Much of each window is
    padding there, and the CPU's convolutions are the slowest part of the whole step. One matrix
    product for each pixel, over what its window has inside the map, takes a fraction of the time
    (``benchmarks/backbone.py``).
    """

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
