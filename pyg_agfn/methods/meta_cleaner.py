"""MetaCleaner: a class is learned from weighted means of several images of it.

Source: Zhang, Wang, Qiao, *MetaCleaner: Learning to Hallucinate Clean Representations for
Noisy-Labeled Visual Recognition*, CVPR 2019, Section 3. No code was published.
"""

import torch
from torch import Tensor, nn

from pyg_agfn.methods.method import Method, StepOutput, TrainingBatch, full_precision
from pyg_agfn.nn import BaselineClassifier
from pyg_agfn.registry import register_method


class MetaCleanerClassifier(BaselineClassifier):
    r"""Feature extractor and linear classifier, with the weighting of subsets for training.

    An image that is classified is a subset of one: its weight is 1, and the network classifies its
    features.

    Args:
        backbone (str or torch.nn.Module): As of :class:`~pyg_agfn.nn.BaselineClassifier`.
        num_classes (int): Number of classes.
        in_channels (int): Channels of the images. (default: :obj:`3`)
        num_features (int, optional): F, for a module without attribute ``num_features``.
        subset_size (int): Images of a subset, M. (default: :obj:`5`)

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
        subset_size: int = 5,
    ) -> None:
        super().__init__(backbone, num_classes, in_channels, num_features)
        self.subset_size = subset_size
        self.weighting = nn.Linear(subset_size * self.num_features, subset_size)

    def clean(self, subsets: Tensor) -> Tensor:
        r"""Noisy weighting and clean hallucinating: a feature vector of each subset.

        The confidence of each image is seen from the features of all of the subset together,
        :math:`\alpha = \mathrm{softmax}(W [x_1, \dots, x_M])`, and the clean representation is
        :math:`\sum_m \alpha_m x_m`.

        Shapes:
            - **input:** :math:`(G, M, F)`
            - **output:** :math:`(G, F)`
        """
        confidence = full_precision(self.weighting(subsets.flatten(1))).softmax(1)
        return (confidence.unsqueeze(2) * subsets).sum(1)


@register_method("metacleaner")
class MetaCleaner(Method):
    r"""Learns the label of subsets of a class by their clean representations, and no single image.

    The paper draws classes and M images of each for a step. Here the images of a batch that have
    the same label are divided at random in subsets of M; what is missing in the last one is
    repeated from the first.

    Args:
        criterion: Loss of logits and labels.
    """

    summary = "each class is learned from weighted means of several images"
    color = "#FF8080"
    linestyle = "-."

    model_class = MetaCleanerClassifier
    model: MetaCleanerClassifier

    def training_step(self, batch: TrainingBatch) -> StepOutput:
        model, labels = self.model, batch.labels
        x = model.features(batch.images)
        subsets = divide_in_subsets(labels, model.subset_size)
        clean = full_precision(model.classifier(model.clean(x[subsets])))
        loss = self.criterion(clean, labels[subsets[:, 0]])
        single = full_precision(model.classifier(x.detach())).detach()
        return StepOutput(loss, single, labels)


def divide_in_subsets(labels: Tensor, size: int) -> Tensor:
    r"""Subsets of images of one label, drawn from the global generator.

    Each image is in one; where the images of a label are no multiple of the size, some are in two.

    Shapes:
        - **input:** :math:`(N)`
        - **output:** places in the batch, :math:`(G, M)`
    """
    order = torch.randperm(len(labels)).to(labels.device)
    subsets = []
    for label in labels.unique():
        images = order[labels[order] == label]
        count = -(-len(images) // size) * size
        subsets.append(images.repeat(-(-count // len(images)))[:count].view(-1, size))
    return torch.cat(subsets)
