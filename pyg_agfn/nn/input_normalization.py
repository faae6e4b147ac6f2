"""What a backbone expects of its images, as a layer in front of it."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from pyg_agfn.choices import InputOrder, Interpolation


class InputConvention(NamedTuple):
    """How weights expect their images.

    Attributes:
        mean, std: Of the pixels, one number or one for each channel in the order of the model's
            channels; None: nothing is known.
        range: What is white before the mean is taken off, 1 or 255.
        order: Of the colours.
        channels: Of the images.
        side: Pixels of a side in the weights' own training.
        interpolation: How the images of that training were resized.
    """

    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    range: int | None = None
    order: InputOrder | None = None
    channels: int | None = None
    side: int | None = None
    interpolation: Interpolation | None = None

    @property
    def changes_pixels(self) -> bool:
        """Whether pixels are scaled otherwise than to -1..1, or in another order."""
        return any(v is not None for v in (self.mean, self.std, self.range, self.order))


class InputNormalization(nn.Module):
    r"""Images of -1..1, as batches have them, to what a backbone expects.

    .. math::
        y_c = \left(\frac{x_c + 1}{2} \, s - \mu_c\right) / \sigma_c

    with :math:`s` 1 or 255. Grey images become three equal channels where the backbone has three.

    Args:
        convention (InputConvention): What is expected. Of what it leaves open, mean is 0, the
            standard deviation 1, the range 1 and the order RGB; where it leaves all open, the
            images keep their scale of -1..1.
        in_channels (int): Of the images.
        out_channels (int): Of the backbone.

    Shapes:
        - **input:** :math:`(N, C, H, W)`
        - **output:** :math:`(N, C', H, W)`
    """

    mean: Tensor
    std: Tensor
    scale: Tensor

    def __init__(self, convention: InputConvention, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.channels = out_channels
        self.reverses = convention.order == "bgr" and in_channels == 3
        mean, std, scale = convention.mean, convention.std, convention.range
        if not convention.changes_pixels:
            mean = std = (0.5,)  # of 0..1, which leaves -1..1 as it is
        self.register_buffer("mean", _of_channels(mean or (0.0,), out_channels))
        self.register_buffer("std", _of_channels(std or (1.0,), out_channels))
        self.register_buffer("scale", torch.tensor(float(scale or 1)))

    def forward(self, images: Tensor) -> Tensor:
        if self.reverses:
            images = images.flip(1)
        factor = self.scale / (2 * self.std)
        offset = (self.scale / 2 - self.mean) / self.std
        return torch.addcmul(offset, images, factor)

    def extra_repr(self) -> str:
        order = ", BGR" if self.reverses else ""
        return f"channels={self.channels}{order}"


def _of_channels(values: tuple[float, ...], channels: int) -> Tensor:
    """(1, C, 1, 1), of one number or of one for each channel."""
    return torch.tensor(values, dtype=torch.float32).expand(channels).reshape(1, -1, 1, 1).clone()


class NormalizedBackbone(nn.Module):
    """A backbone behind an :class:`InputNormalization`.

    Args:
        normalization (InputNormalization): What images pass through first.
        backbone (torch.nn.Module): The feature extractor.
    """

    def __init__(self, normalization: InputNormalization, backbone: nn.Module) -> None:
        super().__init__()
        self.normalization = normalization
        self.backbone = backbone
        self.num_features = backbone.num_features

    def forward(self, images: Tensor) -> Tensor:
        features: Tensor = self.backbone(self.normalization(images))
        return features


def inner_backbone(backbone: nn.Module) -> nn.Module:
    """The feature extractor itself, without what stands in front of it."""
    return backbone.backbone if isinstance(backbone, NormalizedBackbone) else backbone
