"""All that answers for an image, as one module."""

import copy

import torch
from torch import Tensor, nn

from pyg_agfn.nn import AGFNClassifier, BaselineClassifier, ReferenceBank
from pyg_agfn.nn.input_normalization import NormalizedBackbone


class InferenceModel(nn.Module):
    r"""Backbone, projector, reference bank and classifier: images in, probabilities out.

    Each image is classified by itself, as ``predict`` and the inductive accuracy do: a graph
    method joins it to the bank, and to no other image of its batch.

    Args:
        model (BaselineClassifier): The trained classifier.
        bank (ReferenceBank, optional): Of a graph method, for which it is required.

    Shapes:
        - **input:** images :math:`(N, C, H, W)`, -1 to 1
        - **output:** probabilities :math:`(N, K)`

    Raises:
        ValueError: A graph method without a bank.
    """

    def __init__(self, model: BaselineClassifier, bank: ReferenceBank | None = None) -> None:
        super().__init__()
        if bank is None and isinstance(model, AGFNClassifier):
            raise ValueError("a graph method needs a ReferenceBank to classify an image by itself")
        self.model = model
        self.bank = bank

    def forward(self, images: Tensor) -> Tensor:
        features = self.model.features(images)
        if self.bank is None:
            logits = self.model.head(features)
        else:
            logits = self.model.classifier(self.bank(features))
        return logits.softmax(1)

    def copy_for_export(self) -> "InferenceModel":
        """A copy in evaluation mode, on the CPU, in the usual layout of memory."""
        own = copy.deepcopy(self).eval().requires_grad_(False)
        return own.to("cpu", memory_format=torch.contiguous_format)  # type: ignore[call-overload,no-any-return]


class HalfBackbone(nn.Module):
    """A backbone whose weights are ``float16``; its input and its features are ``float32``."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone.half()

    def forward(self, images: Tensor) -> Tensor:
        features: Tensor = self.backbone(images.half())
        return features.float()


def halve_backbone(model: InferenceModel) -> None:
    """Makes the backbone ``float16``, in place.

    The graph, the bank and the classifier stay in ``float32``: a small part of the file, where
    eleven bits of a cosine would move the probability of an edge.
    """
    backbone = model.model.backbone
    if isinstance(backbone, NormalizedBackbone):  # its scale of 255 is too coarse in float16
        backbone.backbone = HalfBackbone(backbone.backbone)
    else:
        model.model.backbone = HalfBackbone(backbone)
