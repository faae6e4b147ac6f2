"""Two trainings in one run: a first network tells how much each label counts for the second one."""

import torch
from torch import Tensor

from pyg_agfn.distributed import gather_rows, world_size
from pyg_agfn.methods.method import (
    Criterion,
    Extract,
    Method,
    StepOutput,
    TrainingBatch,
    TrainingOutputs,
    full_precision,
)
from pyg_agfn.nn import BaselineClassifier


class SecondTraining(Method):
    """Trains plainly for some epochs, looks at all images, and trains again from the same weights.

    The optimizer and its schedule are those of the whole run: what momentum is left of the first
    training is forgotten within some ten steps. A run of no more than the first epochs is plain.

    Args:
        criterion: Loss of logits and labels.
        first_epochs: Epochs of the first training.
    """

    learns_soft_labels = True

    def __init__(self, criterion: Criterion, first_epochs: int) -> None:
        super().__init__(criterion)
        self.first_epochs = first_epochs
        #: The weights that both trainings begin with.
        self.initial: dict[str, Tensor] = {}
        #: In which subset each image is, (n); all in subset 0 until the first network has told.
        self.subset = torch.empty(0, dtype=torch.long)

    def setup(self, model: BaselineClassifier, num_images: int) -> None:
        super().setup(model, num_images)
        self.initial = {name: x.detach().clone() for name, x in model.state_dict().items()}
        device = model.classifier.weight.device
        self.subset = torch.zeros(num_images, dtype=torch.long, device=device)

    def choose_subsets(self, outputs: TrainingOutputs) -> Tensor:
        """The subset of each image, (n), by what the first network says of all."""
        raise NotImplementedError

    def weights_of_subsets(self, epoch: int) -> tuple[float, ...]:
        """The weight of each subset's images in the loss of an epoch."""
        raise NotImplementedError

    def begin_epoch(self, epoch: int, extract: Extract) -> None:
        if epoch == self.first_epochs + 1:
            self.subset.copy_(self.choose_subsets(extract()))
            self.model.load_state_dict(self.initial)

    def training_step(self, batch: TrainingBatch) -> StepOutput:
        logits = full_precision(self.model(batch.images))
        subset = self.subset[batch.index.to(self.subset.device)]
        weights = logits.new_tensor(self.weights_of_subsets(batch.epoch))[subset]
        loss = weighted_loss(self.criterion, logits, batch.learned, weights)
        return StepOutput(loss, logits, batch.labels)

    def state_dict(self) -> dict[str, Tensor]:
        return {"subset": self.subset}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        count = len(self.weights_of_subsets(1))
        if not ((state["subset"] >= 0) & (state["subset"] < count)).all():
            raise ValueError("there is no such subset")
        self.subset.copy_(state["subset"])


def weighted_loss(criterion: Criterion, logits: Tensor, learned: Tensor, weights: Tensor) -> Tensor:
    r"""The weighted mean of a loss over the batch of all processes; 0 where all weights are 0.

    Shapes:
        - **input:** :math:`(N, K)`, labels :math:`(N)` or distributions :math:`(N, K)`, weights
          :math:`(N)` of a few different values
        - **output:** scalar
    """
    total = gather_rows(weights).sum() / world_size()
    loss = 0 * logits.sum()
    for weight in weights.unique():
        if weight > 0:
            rows = weights == weight
            loss = loss + weight * rows.sum() * criterion(logits[rows], learned[rows])
    return loss / total.clamp(min=1e-12)
