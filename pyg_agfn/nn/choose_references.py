"""Which training images make a good reference bank."""

from typing import get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from pyg_agfn.choices import Choice as Choice
from pyg_agfn.generators import generator_for
from pyg_agfn.nn.classifier import AGFNClassifier
from pyg_agfn.nn.reference_bank import expected_degree
from pyg_agfn.transforms.checks import check_choice, check_count, check_labels


def choose_references(
    model: AGFNClassifier,
    features: Tensor,
    labels: Tensor,
    size: int,
    choice: Choice = "random",
    seed: int = 0,
) -> Tensor:
    r"""Members of a bank, by their position among the training images.

    - ``"random"``: drawn without regard to the label.
    - ``"class-balanced"``: drawn, as many of each class as there are, up to an equal share.
    - ``"low-loss"``: of each class, in the classes' own proportion, those whose label the model
      gives the highest probability when it sees each image by itself.
    - ``"agreement"``: likewise, those whose expected edges go to images of the same label for the
      largest part.

    The two last have a proportion to keep because the easiest class would take all places.

    Args:
        model (AGFNClassifier): In evaluation mode.
        features (Tensor): The backbone's features of the training images.
        labels (Tensor): Their labels, as training saw them.
        size (int): Members wanted; all images if there are fewer.
        choice (str): See above. (default: :obj:`"random"`)
        seed (int): Of the draw, and of the order among equals.

    Shapes:
        - **input:** :math:`(n, F_{in})`, :math:`(n)`
        - **output:** :math:`(M)`, ascending

    Raises:
        ValueError: Unknown choice, a size below 1, or another number of labels than of features.
    """
    check_choice("choice", choice, get_args(Choice))
    check_count("size", size)
    check_labels("labels", labels.to(features.device), features)
    size = min(size, len(labels))
    order = torch.randperm(len(labels), generator=generator_for("bank", seed))
    order = order.to(labels.device)
    if choice == "random":
        return order[:size].sort().values

    counts = torch.bincount(labels)
    if choice == "class-balanced":
        quotas = _equal_quotas(counts, size)
    else:
        quality = _quality(model, features, labels, choice)
        order = order[quality[order].argsort(descending=True, stable=True)]
        quotas = _proportional_quotas(counts, size)
    of_class = labels[order]
    chosen = [order[of_class == label][:quota] for label, quota in enumerate(quotas.tolist())]
    return torch.cat([order[:0], *chosen]).sort().values


def _quality(model: AGFNClassifier, features: Tensor, labels: Tensor, choice: Choice) -> Tensor:
    with torch.no_grad():
        z = model.agfn.projector(features)
        if choice == "low-loss":
            alone = model.classifier(model.agfn.normalizer.dense_forward(z, None))
            return -F.cross_entropy(alone, labels, reduction="none")
        return expected_degree(model.agfn, z, labels) / expected_degree(model.agfn, z)


def _equal_quotas(counts: Tensor, size: int) -> Tensor:
    """As equal as the classes' sizes allow; what small classes lack is shared by the others."""
    quotas = torch.zeros_like(counts)
    for _ in range(size):
        quotas[torch.where(quotas < counts, quotas, size + 1).argmin()] += 1
    return quotas


def _proportional_quotas(counts: Tensor, size: int) -> Tensor:
    """In the classes' proportion, the remainder to the largest fractions."""
    exact = counts.double() * size / counts.sum()
    quotas = exact.floor().long()
    rest = size - int(quotas.sum())
    quotas[(exact - quotas).argsort(descending=True, stable=True)[:rest]] += 1
    return quotas
