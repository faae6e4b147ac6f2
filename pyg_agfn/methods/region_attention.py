"""Region Attention Network (RAN): regions of an image are weighed, and classified together.

Source: Wang, Peng, Yang, Meng, Qiao, *Region Attention Networks for Pose and Occlusion Robust
Facial Expression Recognition*, IEEE TIP 2020, Section III. The regions are those of the authors'
code (kaiwang960112/Challenge-condition-FER-dataset, AffectNet_dir/simple_sample). Where the two
differ otherwise the paper is followed: the code takes a softmax of the weights over the regions,
and a margin of 0.1.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pyg_agfn.methods.method import Criterion, Method, StepOutput, TrainingBatch, full_precision
from pyg_agfn.nn import BaselineClassifier
from pyg_agfn.registry import register_method

#: Left, top, right and bottom of the regions, as shares of width and height: top left, top right,
#: center down, and two of the center.
REGIONS = (
    (0.0, 0.0, 0.75, 0.75),
    (0.25, 0.0, 1.0, 0.75),
    (0.125, 0.25, 0.875, 1.0),
    (0.05, 0.05, 0.95, 0.95),
    (0.1, 0.1, 0.9, 0.9),
)


def crop_regions(images: Tensor) -> Tensor:
    r"""The images and their regions, each region resized to the size of the image (bilinear).

    Shapes:
        - **input:** :math:`(N, C, H, W)`
        - **output:** :math:`(R \cdot N, C, H, W)`, the images first, then region after region
    """
    crops = [images]
    for left, top, right, bottom in REGIONS:
        # Coordinates of affine_grid are -1 to 1.
        theta = images.new_tensor(
            [[right - left, 0.0, left + right - 1], [0.0, bottom - top, top + bottom - 1]]
        )
        grid = F.affine_grid(
            theta.expand(images.size(0), 2, 3), list(images.shape), align_corners=False
        )
        crops.append(F.grid_sample(images, grid, padding_mode="border", align_corners=False))
    return torch.cat(crops)


class RANClassifier(BaselineClassifier):
    r"""Feature extractor of an image and its regions, two attentions, and a linear classifier.

    With the features :math:`F_0` of the image and :math:`F_1, \dots, F_R` of its regions,

    .. math::
        \mu_i = \sigma(q_0^\top F_i), \quad F_m = \frac{\sum_i \mu_i F_i}{\sum_i \mu_i}, \quad
        \nu_i = \sigma(q_1^\top [F_i, F_m]), \quad
        P = \frac{\sum_i \mu_i \nu_i [F_i, F_m]}{\sum_i \mu_i \nu_i}

    (self-attention, then relation-attention), of which :math:`P` is classified. It is the same in
    training and in evaluation. Arguments and errors are those of
    :class:`~pyg_agfn.nn.BaselineClassifier`.

    Shapes:
        - **input:** images :math:`(N, C, H, W)`
        - **output:** logits :math:`(N, K)`; :meth:`features` :math:`(N, 2F)`
    """

    def __init__(
        self,
        backbone: str | nn.Module,
        num_classes: int,
        in_channels: int = 3,
        num_features: int | None = None,
    ) -> None:
        super().__init__(backbone, num_classes, in_channels, num_features)
        size = self.num_features
        self.self_attention = nn.Linear(size, 1)
        self.relation_attention = nn.Linear(2 * size, 1)
        self.classifier = nn.Linear(2 * size, num_classes)

    def features(self, images: Tensor) -> Tensor:
        r""":math:`P` of each image by itself, :math:`(N, 2F)`."""
        return self.attend(images)[0]

    def attend(self, images: Tensor) -> tuple[Tensor, Tensor]:
        r""":math:`P` and the self-attention :math:`\mu` of the image and its regions.

        Shapes:
            - **input:** :math:`(N, C, H, W)`
            - **output:** :math:`(N, 2F)` and :math:`(1 + R, N)`
        """
        x = self.backbone(crop_regions(images)).unflatten(0, (-1, images.size(0)))
        first = full_precision(self.self_attention(x)).sigmoid()
        content = (first * x).sum(0) / first.sum(0)
        pairs = torch.cat([x, content.expand_as(x)], dim=2)
        second = full_precision(self.relation_attention(pairs)).sigmoid()
        weight = first * second
        return (weight * pairs).sum(0) / weight.sum(0), first.squeeze(2)


@register_method("ran")
class RegionAttention(Method):
    r"""Learns the labels, and that some region matters more than the whole image.

    .. math::
        \ell(W P, y) + \overline{\max(0, \delta - (\max_{i \geq 1} \mu_i - \mu_0))}

    (the region biased loss, weighed as much as the other). A step passes an image and its five
    regions through the backbone, and takes six times as long.

    Args:
        criterion: Loss of logits and labels.
        margin: :math:`\delta`. (default: :obj:`0.02`)
    """

    summary = "the network weighs six regions of each image, and classifies them together"
    color = "#E600B3"
    learns_soft_labels = True

    model_class = RANClassifier
    model: RANClassifier

    def __init__(self, criterion: Criterion = F.cross_entropy, margin: float = 0.02) -> None:
        super().__init__(criterion)
        self.margin = margin

    def training_step(self, batch: TrainingBatch) -> StepOutput:
        x, attention = self.model.attend(batch.images)
        logits = full_precision(self.model.head(x))
        loss = self.criterion(logits, batch.learned) + self.region_loss(attention)
        return StepOutput(loss, logits, batch.labels)

    def region_loss(self, attention: Tensor) -> Tensor:
        r"""The region biased loss of weights :math:`(1 + R, N)`, the image's own ones first."""
        ahead = attention[1:].max(0).values - attention[0]
        return (self.margin - ahead).clamp(min=0).mean()
