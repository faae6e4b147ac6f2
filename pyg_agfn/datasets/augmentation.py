"""Pixels to floats, and the random changes that images are trained with."""

import torch
import torch.nn.functional as F
from torch import Tensor


def to_float(images: Tensor) -> Tensor:
    """uint8 [N, C, H, W], 0..255, to channels-last floats, -1..1."""
    images = images.to(torch.float32, memory_format=torch.channels_last)
    return images.div_(127.5).sub_(1)


def random_affine(
    images: Tensor, draw: Tensor, shift: float = 0.1, degrees: float = 10.0
) -> Tensor:
    r"""Crop, flip and small rotation, the usual augmentation of facial images.

    Each image is moved (a crop of the padded image), mirrored with probability 1/2 and turned,
    all in one bilinear look-up, the border repeated. torchvision's transforms draw once for a
    batch, and kornia's would be a dependency for this and :func:`random_erasing` alone.

    Args:
        images (Tensor): Floats, -1..1.
        draw (Tensor): Of each image, turn, flip and move to the right and down, uniform in 0..1.
        shift (float): Furthest move either way, a share of the image's size.
        degrees (float): Furthest turn either way.

    Shapes:
        - **input:** :math:`(N, C, H, W)`, draws :math:`(4, N)`
        - **output:** :math:`(N, C, H, W)`
    """
    _, _, height, width = images.shape
    angle = (2 * draw[0] - 1) * torch.pi / 180 * degrees
    mirror = torch.where(draw[1] < 0.5, -1.0, 1.0)
    cos, sin = angle.cos(), angle.sin()
    # Rows of the 2x3 maps from output to input coordinates, which run from -1 to 1.
    x_row = torch.stack(
        [mirror * cos, -mirror * sin * height / width, 2 * shift * (2 * draw[2] - 1)]
    )
    y_row = torch.stack([sin * width / height, cos, 2 * shift * (2 * draw[3] - 1)])
    theta = torch.stack([x_row.t(), y_row.t()], dim=1)  # N, 2, 3
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)


def random_erasing(images: Tensor, draw: Tensor, probability: float = 0.5) -> Tensor:
    r"""Makes a rectangle of 2 to 20% of an image grey (random erasing).

    Args:
        images (Tensor): Floats, -1..1.
        draw (Tensor): Of each image, the rectangle's area, aspect, top and left, and whether there
            is one, uniform in 0..1.
        probability (float): Share of the images that lose a rectangle.

    Shapes:
        - **input:** :math:`(N, C, H, W)`, draws :math:`(5, N)`
        - **output:** :math:`(N, C, H, W)`
    """
    _, _, height, width = images.shape
    area = 0.02 + 0.18 * draw[0]
    aspect = (2 * draw[1] - 1).exp()  # 0.37 to 2.7, symmetric in the logarithm
    box_height, box_width = (area * aspect).sqrt(), (area / aspect).sqrt()
    top, left = draw[2] * (1 - box_height), draw[3] * (1 - box_width)
    row = (torch.arange(height, device=images.device) + 0.5) / height
    column = (torch.arange(width, device=images.device) + 0.5) / width
    rows = (row >= top[:, None]) & (row < (top + box_height)[:, None])
    columns = (column >= left[:, None]) & (column < (left + box_width)[:, None])
    box = rows[:, None, :, None] & columns[:, None, None, :]
    return images.masked_fill(box & (draw[4] < probability)[:, None, None, None], 0.0)
