"""Co-teaching: two networks, each trained on the images that the other has a small loss on.

Source: Han, Yao, Yu, Niu, Xu, Hu, Tsang, Sugiyama, *Co-teaching: Robust Training of Deep Neural
Networks with Extremely Noisy Labels*, NeurIPS 2018, Algorithm 1, and the authors' code
(bhanML/Co-teaching). The authors train for 200 epochs of batches of 128 with Adam, a learning rate
of 0.001.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pyg_agfn.methods.method import (
    Criterion,
    Extract,
    Method,
    StepOutput,
    TrainingBatch,
    full_precision,
)
from pyg_agfn.methods.nearest_votes import neighbor_votes
from pyg_agfn.methods.neighbor_correction.issue_rate import estimate_wrong_share
from pyg_agfn.nn import BaselineClassifier
from pyg_agfn.nn.own_backbone import copy_backbone
from pyg_agfn.registry import register_method
from pyg_agfn.transforms.similarity_edges import unit_rows

#: Neighbours by whose labels the share of wrong labels is estimated.
NUM_NEIGHBORS = 10
#: In the place of an estimate that is not made yet.
UNKNOWN = -1.0


class TwoClassifiers(BaselineClassifier):
    """A classifier that answers, and a peer that takes part in the training alone.

    The peer of a backbone that is given as a module begins with a copy of it, whose weights may be
    learned ones; it has its own classifier. Arguments, shapes and errors are those of
    :class:`~pyg_agfn.nn.BaselineClassifier`.
    """

    def __init__(
        self,
        backbone: str | nn.Module,
        num_classes: int,
        in_channels: int = 3,
        num_features: int | None = None,
    ) -> None:
        super().__init__(backbone, num_classes, in_channels, num_features)
        own = backbone if isinstance(backbone, str) else copy_backbone(backbone)
        self.peer = BaselineClassifier(own, num_classes, in_channels, num_features)


@register_method("co-teaching")
class CoTeaching(Method):
    r"""Each network chooses the images of smallest loss in a batch, and the other learns these.

    In epoch :math:`T` both choose a share :math:`R(T) = 1 - \tau \min(T / T_k, 1)` of a batch;
    several processes choose each among its own images. The first network is what is measured. The
    options ``freeze_epochs`` and ``lr_backbone`` apply to its backbone alone.

    The true share of wrong labels is never looked at. If none is given, :math:`\tau` is estimated
    before each of the epochs 2 to :math:`T_k`, by the labels of each image's ten neighbours in the
    first network's features
    (:func:`~pyg_agfn.methods.neighbor_correction.issue_rate.estimate_wrong_share`); the median of
    the estimates so far is taken, and 0 in the first epoch. The authors take the true share.

    Args:
        criterion: Loss of logits and labels.
        forget_rate: :math:`\tau`; :obj:`None`: estimated. (default: :obj:`None`)
        gradual_epochs: :math:`T_k`. (default: :obj:`10`)
    """

    summary = "two networks, each trained on the images that the other finds easiest"
    color = "#8800BB"
    linestyle = ":"

    model_class = TwoClassifiers
    model: TwoClassifiers

    def __init__(
        self,
        criterion: Criterion = F.cross_entropy,
        forget_rate: float | None = None,
        gradual_epochs: int = 10,
    ) -> None:
        super().__init__(criterion)
        self.forget_rate = forget_rate
        self.gradual_epochs = gradual_epochs
        #: Of the share of wrong labels, by epoch.
        self.estimates = torch.empty(0)

    def setup(self, model: BaselineClassifier, num_images: int) -> None:
        super().setup(model, num_images)
        self.estimates = torch.full((self.gradual_epochs,), UNKNOWN)

    def begin_epoch(self, epoch: int, extract: Extract) -> None:
        if self.forget_rate is not None or not 1 < epoch <= self.gradual_epochs:
            return
        features, logits, labels = extract()
        classes = logits.size(1)
        votes = neighbor_votes(unit_rows(features), labels, classes, NUM_NEIGHBORS, leave_out=True)
        found = estimate_wrong_share(votes / votes.sum(1, keepdim=True), labels)
        if found is not None:
            self.estimates[epoch - 1] = found

    @property
    def noise_rate(self) -> float | None:
        r""":math:`\tau`; None where there is no estimate yet."""
        if self.forget_rate is not None:
            return self.forget_rate
        known = self.estimates[self.estimates >= 0]
        return float(known.median()) if len(known) else None

    def count_chosen(self, size: int, epoch: int) -> int:
        """How many images of a batch are learned in an epoch, from 1."""
        rate = (self.noise_rate or 0.0) * min(epoch / self.gradual_epochs, 1.0)
        return max(1, int((1 - rate) * size))

    def training_step(self, batch: TrainingBatch) -> StepOutput:
        labels = batch.labels
        count = self.count_chosen(len(labels), batch.epoch)
        answers = [full_precision(net(batch.images)) for net in (self.model, self.model.peer)]
        chosen = [
            F.cross_entropy(x.detach(), labels, reduction="none").argsort(stable=True)[:count]
            for x in answers
        ]
        losses = [
            self.criterion(x[rows], labels[rows])
            for x, rows in zip(answers, reversed(chosen), strict=True)
        ]
        return StepOutput(losses[0] + losses[1], answers[0], labels)

    def metrics(self) -> dict[str, float | None]:
        return {"noise_rate": self.noise_rate}

    def state_dict(self) -> dict[str, Tensor]:
        return {"estimates": self.estimates}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        found = state["estimates"].cpu()
        if not ((found == UNKNOWN) | ((found >= 0) & (found <= 1))).all():
            raise ValueError("estimates are no shares")
        self.estimates = found
