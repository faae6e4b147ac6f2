"""Relative Uncertainty Learning (RUL): of two mixed images the less certain one weighs more.

Source: Zhang, Wang, Deng, *Relative Uncertainty Learning for Facial Expression Recognition*,
NeurIPS 2021, and the authors' code (zyh-uaiaaaa/Relative-Uncertainty-Learning, src/rul.py,
src/utils.py), whose defaults these are. The two branches of the code see the 7x7 maps of a
ResNet-18; here they see the features that the backbone pools.
"""

import torch
from torch import Tensor, nn

from pyg_agfn.methods.method import Method, StepOutput, TrainingBatch, full_precision
from pyg_agfn.nn import BaselineClassifier
from pyg_agfn.registry import register_method


class RULClassifier(BaselineClassifier):
    r"""Feature extractor, two branches that are the mean and the log variance of a feature
    vector, and a linear classifier of the mean.

    Each branch is batch normalization, dropout, a linear layer and batch normalization. In
    evaluation only the branch of the mean is computed.

    Args:
        backbone (str or torch.nn.Module): As of :class:`~pyg_agfn.nn.BaselineClassifier`.
        num_classes (int): Number of classes.
        in_channels (int): Channels of the images. (default: :obj:`3`)
        num_features (int, optional): F, for a module without attribute ``num_features``.
        hidden_channels (int): Size D of the mean. (default: :obj:`64`)
        dropout (float): Share of features that are dropped. (default: :obj:`0.4`)

    Shapes:
        - **input:** images :math:`(N, C, H, W)`
        - **output:** logits :math:`(N, K)`
    """

    def __init__(
        self,
        backbone: str | nn.Module,
        num_classes: int,
        in_channels: int = 3,
        num_features: int | None = None,
        hidden_channels: int = 64,
        dropout: float = 0.4,
    ) -> None:
        super().__init__(backbone, num_classes, in_channels, num_features)

        def branch() -> nn.Sequential:
            return nn.Sequential(
                nn.BatchNorm1d(self.num_features, eps=2e-5, affine=False),
                nn.Dropout(dropout),
                nn.Linear(self.num_features, hidden_channels),
                nn.BatchNorm1d(hidden_channels, eps=2e-5),
            )

        self.mean = branch()
        self.log_variance = branch()
        self.classifier = nn.Linear(hidden_channels, num_classes)

    def head(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.mean(x))
        return logits


@register_method("rul")
class RelativeUncertainty(Method):
    r"""Mixes the images of a batch in pairs by their uncertainty, and learns both labels.

    With the mean :math:`\mu_i` of an image's branch, its uncertainty :math:`s_i`, the mean over
    the branch of :math:`\exp \log \sigma^2`, and a random permutation :math:`\pi`,

    .. math::
        \tilde{\mu}_i = \frac{s_i \mu_i + s_{\pi(i)} \mu_{\pi(i)}}{s_i + s_{\pi(i)}}, \qquad
        \tfrac{1}{2} \ell(W \tilde{\mu}_i, y_i) + \tfrac{1}{2} \ell(W \tilde{\mu}_i, y_{\pi(i)})

    (the add-up loss). Both labels are found in the mixture only if the harder image has the larger
    share in it, so that the uncertainty is learned without labels of its own. Each process mixes
    its own part of the batch.

    Args:
        criterion: Loss of logits and labels.
    """

    summary = "pairs of images are mixed, the uncertain one with the larger share"
    color = "#998055"
    linestyle = "--"
    learns_soft_labels = True

    model_class = RULClassifier
    model: RULClassifier

    def training_step(self, batch: TrainingBatch) -> StepOutput:
        model, learned = self.model, batch.learned
        x = model.features(batch.images)
        mean = model.mean(x)
        uncertainty = full_precision(model.log_variance(x)).exp().mean(1)
        order = torch.randperm(len(x)).to(x.device)
        mixed = mix_by_uncertainty(mean, uncertainty, order)
        logits = full_precision(model.classifier(mixed))
        loss = (self.criterion(logits, learned) + self.criterion(logits, learned[order])) / 2
        unmixed = full_precision(model.classifier(mean.detach())).detach()
        return StepOutput(loss, unmixed, batch.labels)


def mix_by_uncertainty(mean: Tensor, uncertainty: Tensor, order: Tensor) -> Tensor:
    r"""Each image's features mixed with those of another one.

    Args:
        mean: Features.
        uncertainty: Of each image, above 0.
        order: The image that each one is mixed with.

    Shapes:
        - **input:** :math:`(N, D)`, :math:`(N)`, :math:`(N)`
        - **output:** :math:`(N, D)`
    """
    share = (uncertainty / (uncertainty + uncertainty[order])).unsqueeze(1)
    return share * mean + (1 - share) * mean[order]
