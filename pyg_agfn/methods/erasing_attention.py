"""Erasing Attention Consistency (EAC): what the network looks at must not change in the mirror.

Source: Zhang, Wang, Ling, Deng, *Learn From All: Erasing Attention Consistency for Noisy Label
Facial Expression Recognition*, ECCV 2022, and the authors' code
(zyh-uaiaaaa/Erasing-Attention-Consistency, main.py), whose defaults these are.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pyg_agfn.errors import InputError
from pyg_agfn.methods.method import Criterion, Method, StepOutput, TrainingBatch, full_precision
from pyg_agfn.registry import register_method


@register_method("eac")
class ErasingAttention(Method):
    r"""Classifies each image, and compares its attention maps with those of its mirrored view.

    .. math::
        \ell(f(x), y) + \lambda \,
        \overline{\left( M(x) - \mathrm{flip}(M(\tilde{x})) \right)^2}, \qquad
        M_k(x) = \sum_c w_{kc} F_c(x)

    with the backbone's last feature maps :math:`F`, the classifier's weights :math:`w`, through
    which this gets no gradient, and the mirrored, again erased :math:`\tilde{x}`, which has no loss
    of its own. A wrong label is memorized by some detail, and the two views do not agree
    on it. The maps of a ResNet are a 32nd of the image: 7x7 in the paper, 2x2 at 48x48.

    Args:
        criterion: Loss of logits and labels.
        weight: :math:`\lambda`. (default: :obj:`5.0`)
    """

    summary = "the network has to look at the same parts of an image and of its mirrored view"
    color = "#56B4E9"
    linestyle = "--"
    views = ("mirrored",)
    compiles = False
    learns_soft_labels = True

    def __init__(self, criterion: Criterion = F.cross_entropy, weight: float = 5.0) -> None:
        super().__init__(criterion)
        self.weight = weight

    def training_step(self, batch: TrainingBatch) -> StepOutput:
        model = self.model
        features, maps = features_and_maps(model.backbone, batch.images)
        _, mirrored_maps = features_and_maps(model.backbone, batch.views["mirrored"])
        logits = full_precision(model.head(features))
        weight = model.classifier.weight.detach()
        attention, mirrored_attention = (
            full_precision(torch.einsum("nchw,kc->nkhw", m, weight)) for m in (maps, mirrored_maps)
        )
        consistency = F.mse_loss(attention, mirrored_attention.flip(-1))
        loss = self.criterion(logits, batch.learned) + self.weight * consistency
        return StepOutput(loss, logits, batch.labels)


def features_and_maps(backbone: nn.Module, images: Tensor) -> tuple[Tensor, Tensor]:
    r"""The backbone's features and the maps that its last pooling averages.

    Shapes:
        - **input:** :math:`(N, C, H, W)`
        - **output:** :math:`(N, F)` and :math:`(N, F, H', W')`

    Raises:
        InputError: The backbone has no ``AdaptiveAvgPool2d``.
    """
    pools = [m for m in backbone.modules() if isinstance(m, nn.AdaptiveAvgPool2d)]
    if not pools:
        raise InputError(
            f"backbone {type(backbone).__name__} does not end in an AdaptiveAvgPool2d, whose input "
            "eac compares"
        )
    maps: list[Tensor] = []
    hook = pools[-1].register_forward_pre_hook(lambda _, inputs: maps.append(inputs[0]))
    try:
        features = backbone(images)
    finally:
        hook.remove()
    return features, maps[-1]
