"""A compact network for face images of some 48 pixels."""

from torch import nn

from pyg_agfn.registry import register_backbone

#: Channels of the separable convolutions, those of a resolution in a row.
STAGES = ((48, 48), (96, 96), (192, 192), (384,))


@register_backbone("face-cnn")
class FaceCNN(nn.Sequential):
    r"""Seven separable 3x3 convolutions, 0.15 million parameters.

    A depthwise 3x3 and a 1x1 convolution, batch normalization and LeakyReLU each; after every
    second one max-pooling and spatial dropout. LeakyReLU rises, so it gives the same behind the
    pooling as before it, where it would pass over four times the pixels.

    In channels-last memory, as a training has it, PyTorch's depthwise convolutions are the fastest
    way on a CPU; the sum of nine shifted maps takes several times as long.

    Args:
        in_channels (int): 1 for grey images, 3 for colour. (default: :obj:`3`)
        dropout (float): Share of the channels that a training step leaves out. (default:
            :obj:`0.1`)
        negative_slope (float): Of LeakyReLU. (default: :obj:`0.3`)

    Shapes:
        - **input:** :math:`(N, C, H, W)`, :math:`H, W \geq 8`
        - **output:** :math:`(N, 384)`
    """

    num_features = 384

    def __init__(
        self, in_channels: int = 3, dropout: float = 0.1, negative_slope: float = 0.3
    ) -> None:
        layers: list[nn.Module] = []
        for stage in STAGES:
            for place, channels in enumerate(stage, 1):
                layers += [
                    nn.Conv2d(
                        in_channels, in_channels, 3, padding=1, groups=in_channels, bias=False
                    ),
                    nn.Conv2d(in_channels, channels, 1, bias=False),
                    nn.BatchNorm2d(channels),
                ]
                if place == 2:
                    layers.append(nn.MaxPool2d(2))
                layers.append(nn.LeakyReLU(negative_slope, inplace=True))
                in_channels = channels
            if len(stage) == 2:
                layers.append(nn.Dropout2d(dropout))
        super().__init__(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
