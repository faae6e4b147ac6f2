"""Feature extractors, [N, C, H, W] images to [N, F] features."""

from collections.abc import Mapping

from torch import nn

from pyg_agfn.backbone_args import Scalar, refuse_reserved, shown_args
from pyg_agfn.errors import InputError, printable
from pyg_agfn.registry import BACKBONES, register_backbone


@register_backbone("small-cnn")
class SmallCNN(nn.Sequential):
    r"""Four 3x3 convolutions for images of a few pixels, such as scikit-learn's 8x8 digits.

    Args:
        in_channels (int): 1 for grey images, 3 for colour. (default: :obj:`1`)
        width (int): Channels of the first convolution; the last two have four times as many.
            (default: :obj:`32`)

    Shapes:
        - **input:** :math:`(N, C, H, W)`, :math:`H, W \geq 4`
        - **output:** :math:`(N, 4 \cdot \text{width})`

    Raises:
        InputError: ``width`` is below 1.
    """

    def __init__(self, in_channels: int = 1, width: int = 32) -> None:
        if width < 1:
            raise InputError(f"small-cnn: width must be at least 1, got {width}")
        self.num_features = 4 * width

        def block(fan_in: int, fan_out: int) -> list[nn.Module]:
            conv = nn.Conv2d(fan_in, fan_out, 3, padding=1, bias=False)
            return [conv, nn.BatchNorm2d(fan_out), nn.ReLU(inplace=True)]

        super().__init__(
            *block(in_channels, width),
            *block(width, 2 * width),
            nn.MaxPool2d(2),
            *block(2 * width, 4 * width),
            *block(4 * width, 4 * width),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )


def build_backbone(
    name: str, in_channels: int = 3, arguments: Mapping[str, Scalar] | None = None
) -> nn.Module:
    """A feature extractor by its name, randomly initialized.

    Args:
        name: One of :data:`pyg_agfn.registry.BACKBONES`, ``timm/NAME`` or ``torchvision/NAME``.
        in_channels: 1 for grey images, 3 for colour.
        arguments: Further arguments of its constructor.

    Raises:
        InputError: Unknown name, or the constructor does not take such arguments.
    """
    factory = BACKBONES[name]
    arguments = arguments or {}
    refuse_reserved(arguments)
    if not arguments and BACKBONES.family_of(name) is None:
        return factory(in_channels)
    try:
        return factory(in_channels, **arguments)
    except InputError:
        raise
    except Exception as error:  # whatever a constructor says of its arguments
        reason = printable(" ".join(f"{type(error).__name__}: {error}".split()), 300)
        given = f" with --backbone-arg {shown_args(arguments)}" if arguments else ""
        raise InputError(f"--backbone {name}{given} cannot be built: {reason}") from None
