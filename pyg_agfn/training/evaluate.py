"""Accuracy of a trained model, with the company in which the test images were classified said."""

from dataclasses import dataclass

import torch
from lightning.fabric import Fabric
from torch import Tensor
from torchmetrics.functional.classification import multiclass_accuracy

from pyg_agfn.nn import AGFNClassifier, BaselineClassifier
from pyg_agfn.training.batches import Batches


@dataclass(frozen=True)
class ShuffledAccuracy:
    """Accuracy over several random divisions of the test images into batches."""

    mean: float
    std: float
    draws: int


@torch.no_grad()
def extract_features(fabric: Fabric, model: BaselineClassifier, batches: Batches) -> Tensor:
    r"""The backbone's features of every image, :math:`(n, F)`, in evaluation mode.

    They do not depend on the batch, so one pass serves every way of putting images together.
    """
    model.eval()
    with fabric.autocast():
        return torch.cat([model.features(images).float() for images, _ in batches])


@torch.no_grad()
def predict_batches(
    fabric: Fabric, model: BaselineClassifier, features: Tensor, order: Tensor, batch_size: int
) -> Tensor:
    r"""Predicted classes :math:`(n)`, the images classified in batches of the given order."""
    model.eval()
    predicted = torch.empty(len(features), dtype=torch.long, device=features.device)
    with fabric.autocast():
        for chosen in order.to(features.device).split(batch_size):
            predicted[chosen] = model.head(features[chosen]).argmax(-1)
    return predicted


@torch.no_grad()
def predict_single(fabric: Fabric, model: BaselineClassifier, features: Tensor) -> Tensor:
    r"""Predicted classes :math:`(n)`, each image classified by itself.

    For a graph of one node Eq. 6 is :math:`\hat{x} = \frac{1 + a}{1 + a} x W = x W`, which is what
    the layer gives to a whole batch when its graph is off.
    """
    everything = torch.arange(len(features))
    if not isinstance(model, AGFNClassifier):
        return predict_batches(fabric, model, features, everything, len(features))
    use_graph, model.agfn.use_graph = model.agfn.use_graph, False
    try:
        return predict_batches(fabric, model, features, everything, len(features))
    finally:
        model.agfn.use_graph = use_graph


def shuffled_orders(n: int, draws: int, seed: int) -> list[Tensor]:
    """Random orders of n images, the same for every model that is asked with this seed."""
    generator = torch.Generator().manual_seed(seed)
    return [torch.randperm(n, generator=generator) for _ in range(draws)]


def accuracy(predicted: Tensor, labels: Tensor, num_classes: int) -> float:
    """Share of images whose predicted class is the given one."""
    score = multiclass_accuracy(predicted, labels.to(predicted.device), num_classes, "micro")
    return float(score)


def shuffled_accuracy(
    fabric: Fabric,
    model: BaselineClassifier,
    features: Tensor,
    labels: Tensor,
    batch_size: int,
    draws: int,
    seed: int,
) -> ShuffledAccuracy:
    """Mean and sample standard deviation of accuracy over shuffled batches."""
    num_classes = model.classifier.out_features
    scores = torch.tensor(
        [
            accuracy(
                predict_batches(fabric, model, features, order, batch_size), labels, num_classes
            )
            for order in shuffled_orders(len(features), draws, seed)
        ],
        dtype=torch.float64,
    )
    std = float(scores.std()) if draws > 1 else 0.0
    return ShuffledAccuracy(float(scores.mean()), std, draws)


def memorized_share(predicted: Tensor, labels: Tensor, true_labels: Tensor) -> float | None:
    """Share of wrong training labels that the model predicts; none where no label is wrong."""
    wrong = labels != true_labels
    if not wrong.any():
        return None
    return float((predicted.cpu()[wrong] == labels[wrong]).double().mean())
