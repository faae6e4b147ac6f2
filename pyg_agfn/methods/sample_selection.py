"""Sample Selection and Relabelling (SSR): neighbours select labels, the network replaces some.

Source: Feng, Tzimiropoulos, Patras, *SSR: An Efficient and Robust Framework for Learning with
Unknown Label Noise*, BMVC 2022, Section 3, and the authors' code (MrChenFeng/SSR_BMVC2022,
``main_cifar.py``), whose defaults these are. This is SSR+, with its consistency of features. The
authors train for 300 epochs of batches of 128 with a learning rate of 0.02 that falls as a cosine,
momentum 0.9 and weight decay 5e-4.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pyg_agfn.datasets.augmentation import random_affine, random_erasing
from pyg_agfn.datasets.views import register_view
from pyg_agfn.methods.method import (
    Criterion,
    Extract,
    Method,
    StepOutput,
    TrainingBatch,
    full_precision,
)
from pyg_agfn.methods.nearest_votes import fitting_neighbors, neighbor_votes
from pyg_agfn.nn import BaselineClassifier
from pyg_agfn.registry import register_method
from pyg_agfn.transforms.similarity_edges import unit_rows

#: Both parameters of the beta distribution of mixup (the authors' code).
MIXUP = 4.0


@register_view("moved", draws=9)
def moved(images: Tensor, draw: Tensor) -> Tensor:
    """The images moved and turned a little and erased, not mirrored: a digit would be another."""
    affine = draw[:4].clone()
    affine[1] = 1.0
    return random_erasing(random_affine(images, affine), draw[4:])


class SelectionClassifier(BaselineClassifier):
    """A classifier with the projector and the predictor that training compares features by.

    Arguments, shapes and errors are those of :class:`~pyg_agfn.nn.BaselineClassifier`.
    """

    def __init__(
        self,
        backbone: str | nn.Module,
        num_classes: int,
        in_channels: int = 3,
        num_features: int | None = None,
    ) -> None:
        super().__init__(backbone, num_classes, in_channels, num_features)
        self.projector = _two_layers(self.num_features)
        self.predictor = _two_layers(128)


def _two_layers(size: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(size, 256), nn.BatchNorm1d(256), nn.ReLU(), nn.Linear(256, 128))


@register_method("ssr")
class SampleSelection(Method):
    r"""Learns the labels that agree with their neighbours, after the classifier replaced some.

    Before each epoch an image whose likeliest class has a probability above :math:`\theta_r` gets
    that class as its label. Then the :math:`k` nearest images by cosine vote, each one by its new
    label and over the share of that label; an image is selected if its label has at least
    :math:`\theta_s` times the votes of the label that has most.

    A step minimizes

    .. math::
        \ell_{\text{mixup}} - \lambda \, \overline{\cos\big( h(g(x')), g(x) \big)}

    over the selected images and over all of the batch, with a second view :math:`x'`, a projector
    :math:`g`, which gets no gradient at :math:`x`, and a predictor :math:`h`. The authors draw the
    selected images of a batch from all that are selected, each class equally often. Here as many
    are drawn with replacement from the selected ones of the batch, each of its classes equally
    often. Both views of them are mixed with each other.

    Differences: the second view is moved, turned and erased (:func:`moved`), not changed by
    AutoAugment; and of a small data set there are fewer neighbours
    (:func:`~pyg_agfn.methods.nearest_votes.fitting_neighbors`).

    Args:
        criterion: Loss of logits and distributions.
        select_share: :math:`\theta_s`. (default: :obj:`1.0`)
        relabel_confidence: :math:`\theta_r`. (default: :obj:`0.9`)
        num_neighbors: :math:`k`. (default: :obj:`200`)
        weight: :math:`\lambda`. (default: :obj:`1.0`)
    """

    summary = "the network learns labels that agree with their neighbours, and its own sure answers"
    color = "#BBBB55"
    linestyle = "--"
    views = ("moved",)

    model_class = SelectionClassifier
    model: SelectionClassifier

    def __init__(
        self,
        criterion: Criterion = F.cross_entropy,
        select_share: float = 1.0,
        relabel_confidence: float = 0.9,
        num_neighbors: int = 200,
        weight: float = 1.0,
    ) -> None:
        super().__init__(criterion)
        self.select_share = select_share
        self.relabel_confidence = relabel_confidence
        self.num_neighbors = num_neighbors
        self.weight = weight
        self.num_classes = 0
        #: New labels by training image; -1 where it has the one it came with.
        self.relabelled = torch.empty(0, dtype=torch.long)
        #: Which images are selected, by training image.
        self.selected = torch.empty(0, dtype=torch.bool)

    def setup(self, model: BaselineClassifier, num_images: int) -> None:
        super().setup(model, num_images)
        device = model.classifier.weight.device
        self.num_classes = model.classifier.out_features
        self.relabelled = torch.full((num_images,), -1, device=device)
        self.selected = torch.ones(num_images, dtype=torch.bool, device=device)

    def begin_epoch(self, epoch: int, extract: Extract) -> None:
        features, logits, given = extract()
        surest, predicted = logits.softmax(1).max(1)
        sure = surest > self.relabel_confidence
        self.relabelled = torch.where(sure, predicted, -1)
        labels = torch.where(sure, predicted, given)
        k = fitting_neighbors(self.num_neighbors, len(labels), self.num_classes)
        self.selected = self.select(features, labels, k)

    def select(self, features: Tensor, labels: Tensor, k: int) -> Tensor:
        r"""Which labels agree with those of their neighbours, :math:`(n)`."""
        votes = neighbor_votes(unit_rows(features), labels, self.num_classes, k)
        votes = votes / labels.bincount(minlength=self.num_classes).clamp(min=1)
        own = votes.gather(1, labels.unsqueeze(1)).squeeze(1)
        return own >= self.select_share * votes.amax(1)

    def training_step(self, batch: TrainingBatch) -> StepOutput:
        model, view = self.model, batch.views["moved"]
        index = batch.index.to(self.relabelled.device)
        new = self.relabelled[index]
        labels = torch.where(new < 0, batch.labels, new)
        features, other = model.features(batch.images), model.features(view)
        z = model.projector(features).detach()
        loss = -self.weight * F.cosine_similarity(model.predictor(model.projector(other)), z).mean()
        logits = full_precision(model.head(features))
        selected = self.selected[index]
        some = selected.any()  # if none, a pass all the same: several processes make it together
        rows = draw_balanced(labels, selected | ~some)
        targets = F.one_hot(labels[rows], self.num_classes).to(logits.dtype).repeat(2, 1)
        images, targets = mix(torch.cat([batch.images[rows], view[rows]]), targets)
        loss = loss + some * self.criterion(full_precision(model(images)), targets)
        return StepOutput(loss, logits, labels)

    def state_dict(self) -> dict[str, Tensor]:
        return {"relabelled": self.relabelled, "selected": self.selected}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        relabelled = state["relabelled"]
        if not ((relabelled >= -1) & (relabelled < self.num_classes)).all():
            raise ValueError("relabelled has other classes")
        self.relabelled = relabelled.to(self.relabelled.device)
        self.selected = state["selected"].to(self.selected.device)


def draw_balanced(labels: Tensor, selected: Tensor) -> Tensor:
    r"""Draws as many of the selected rows as there are rows, each of their classes equally often.

    At least one is selected.

    Shapes:
        - **input:** :math:`(N)`, boolean :math:`(N)`
        - **output:** :math:`(N)`
    """
    rows = selected.nonzero().squeeze(1)
    weights = labels[rows].bincount().double().reciprocal()[labels[rows]]
    # On the CPU, so that every device draws the same.
    drawn = torch.multinomial(weights.cpu(), len(labels), replacement=True)
    return rows[drawn.to(rows.device)]


def mix(images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    r"""Mixes each image with another one, and their targets alike; the first has the larger share.

    Source: Zhang, Cisse, Dauphin, Lopez-Paz, *mixup: Beyond Empirical Risk Minimization*, ICLR
    2018, with the share of MixMatch (Berthelot et al., NeurIPS 2019, Eq. 9).
    """
    a, b = torch._standard_gamma(torch.full((2,), MIXUP))
    share = float(a / (a + b))
    share = max(share, 1 - share)
    order = torch.randperm(len(images)).to(images.device)
    return images.lerp(images[order], 1 - share), targets.lerp(targets[order], 1 - share)
