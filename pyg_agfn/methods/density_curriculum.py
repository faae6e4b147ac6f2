"""CurriculumNet: images in dense parts of their class first, and those in sparse parts later.

Source: Guo, Huang, Zhang, Zhuang, Dong, Scott, Huang, *CurriculumNet: Weakly Supervised Learning
from Large-Scale Web Images*, ECCV 2018, Sections 3.2 and 3.3, and the authors' code of the subsets
(msight-tech/research-curriculumnet), whose cutoff and number of subsets these are. As in the code,
k-means clusters the densities.
"""

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from sklearn.cluster import KMeans
from torch import Tensor

from pyg_agfn.methods.method import Criterion, TrainingOutputs
from pyg_agfn.methods.second_training import SecondTraining
from pyg_agfn.registry import register_method

if TYPE_CHECKING:
    from pyg_agfn.training.options import TrainOptions

#: Most images of a class among which the density of each is counted.
MAX_REFERENCES = 4096


@register_method("curriculumnet")
class DensityCurriculum(SecondTraining):
    r"""Divides each class by density in a first network's features, and trains in three stages.

    The first quarter of the epochs trains on all labels. Then each class is divided into a clean, a
    noisy and a highly noisy subset (:func:`density_subsets`), and the network is trained again from
    its initial weights: on the clean one; on this and the noisy one; on all. Each stage has a third
    of the epochs that are left. The loss is the weighted mean over the images in training.
    The authors sample a batch half from the clean subset, here it is drawn from all images. They
    reduce features to 256 dimensions by PCA, here they are taken as they are.

    Args:
        criterion: Loss of logits and labels.
        first_epochs: Epochs of the first network. (default: :obj:`10`)
        epochs: Of the run. (default: :obj:`40`)
        weights: Of clean, noisy and highly noisy images in the loss.
            (default: :obj:`(1.0, 0.5, 0.5)`, Section 3.3)
        cutoff: Share of the pairs of a class that are closer than the distance at which neighbours
            are counted. (default: :obj:`0.6`)
    """

    summary = "the network alone, trained on images in dense parts of their class before the others"
    color = "#DDAAAA"
    linestyle = "--"

    def __init__(
        self,
        criterion: Criterion = F.cross_entropy,
        first_epochs: int = 10,
        epochs: int = 40,
        weights: tuple[float, float, float] = (1.0, 0.5, 0.5),
        cutoff: float = 0.6,
    ) -> None:
        super().__init__(criterion, first_epochs)
        self.epochs = epochs
        self.weights = weights
        self.cutoff = cutoff

    @classmethod
    def from_options(cls, options: "TrainOptions", criterion: Criterion) -> "DensityCurriculum":
        return cls(criterion, first_epochs=-(-options.epochs // 4), epochs=options.epochs)

    def choose_subsets(self, outputs: TrainingOutputs) -> Tensor:
        return density_subsets(outputs.features, outputs.labels, self.cutoff)

    def weights_of_subsets(self, epoch: int) -> tuple[float, ...]:
        if epoch <= self.first_epochs:
            return (1.0, 1.0, 1.0)
        stage = 3 * (epoch - self.first_epochs - 1) // (self.epochs - self.first_epochs)
        return tuple(w if subset <= stage else 0.0 for subset, w in enumerate(self.weights))


def density_subsets(features: Tensor, labels: Tensor, cutoff: float = 0.6) -> Tensor:
    r"""Divides each class into three subsets by the density of its features.

    The density of an image is the number of images of its class that are closer than a distance
    :math:`d_c`, of which the class's pairs have a share ``cutoff`` below it (Eq. 2). k-means
    clusters the densities; the densest cluster is subset 0. Of a large class, the density is
    counted among 4,096 of its images, at equal steps. A class of fewer than three different
    densities is not divided: it is in subset 0.

    Shapes:
        - **input:** :math:`(n, F)`, labels :math:`(n)`
        - **output:** :math:`(n)`, 0 to 2
    """
    subset = torch.zeros_like(labels)
    for label in labels.unique():
        members = (labels == label).nonzero().squeeze(1)
        x = features[members]
        distance = torch.cdist(x, x[:: -(-len(x) // MAX_REFERENCES)])
        rank = min(int(cutoff * distance.numel()), distance.numel() - 1)
        limit = distance.flatten().kthvalue(rank + 1).values
        density = (distance < limit).sum(1).double().cpu()
        if len(density.unique()) < 3:
            continue
        found = KMeans(3, n_init=10, random_state=0).fit(density.unsqueeze(1).numpy())
        centers = torch.from_numpy(found.cluster_centers_).squeeze(1)
        place = centers.argsort(descending=True).argsort()
        subset[members] = place[torch.from_numpy(found.labels_).long()].to(subset)
    return subset
