"""Deep k-NN: labels that the neighbours in a first network's logits outvote are left out.

Source: Bahri, Jiang, Gupta, *Deep k-NN for Noisy Labels*, ICML 2020, Algorithm 1, without a clean
set (the preliminary network is trained on all images); k = 500, its setting for image data.
The paper trains each network for all of its epochs, here they share those of the run.
"""

from typing import TYPE_CHECKING

import torch.nn.functional as F
from torch import Tensor

from pyg_agfn.methods.method import Criterion, TrainingOutputs
from pyg_agfn.methods.nearest_votes import fitting_neighbors, neighbor_votes
from pyg_agfn.methods.second_training import SecondTraining
from pyg_agfn.registry import register_method

if TYPE_CHECKING:
    from pyg_agfn.training.options import TrainOptions


@register_method("deep-knn")
class DeepNeighbors(SecondTraining):
    r"""Keeps a label if no other has more votes among the k nearest images.

    The first half of the epochs trains on all labels. Then the images are compared by Euclidean
    distance between their logits, each one among its own neighbours, and the network is trained
    again from its initial weights on the images whose labels are kept. Of equal votes all are
    kept. The neighbours are at most half of a class's images
    (:func:`~pyg_agfn.methods.nearest_votes.fitting_neighbors`). Soft labels are learned of the
    images that are kept by their labels.

    Args:
        criterion: Loss of logits and labels.
        first_epochs: Epochs of the preliminary network. (default: :obj:`20`)
        num_neighbors: :math:`k`. (default: :obj:`500`)
    """

    summary = "the network alone, trained again without the labels that their neighbours outvote"
    color = "#441155"
    linestyle = "--"

    def __init__(
        self,
        criterion: Criterion = F.cross_entropy,
        first_epochs: int = 20,
        num_neighbors: int = 500,
    ) -> None:
        super().__init__(criterion, first_epochs)
        self.num_neighbors = num_neighbors

    @classmethod
    def from_options(cls, options: "TrainOptions", criterion: Criterion) -> "DeepNeighbors":
        return cls(criterion, first_epochs=-(-options.epochs // 2))

    def choose_subsets(self, outputs: TrainingOutputs) -> Tensor:
        """0 for images whose label is kept, 1 for the others."""
        num_images, num_classes = outputs.logits.shape
        k = fitting_neighbors(self.num_neighbors, num_images, num_classes)
        votes = neighbor_votes(outputs.logits, outputs.labels, num_classes, k)
        own = votes.gather(1, outputs.labels.unsqueeze(1)).squeeze(1)
        return (own < votes.amax(1)).long()

    def weights_of_subsets(self, epoch: int) -> tuple[float, ...]:
        return (1.0, 0.0)
