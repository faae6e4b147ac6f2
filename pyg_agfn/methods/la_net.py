"""LA-Net without landmarks: labels become distributions, by what near images look like.

Source: Wu, Cui, *LA-Net: Landmark-Aware Learning for Reliable Facial Expression Recognition under
Label Noise*, ICCV 2023, Section 3, and the settings of the authors' code (train.py, layers.py):
K = 8, momentum of the distributions 0.9, momentum encoder 0.999, bank of 8,192.

What needs facial landmarks is left out: the network's landmark branch and its heat maps, the
neighbours that are near by their landmarks, half of each distribution, and the contrastive loss
between expression and landmarks. In the authors' code the momentum encoder and the bank serve that
loss, and the neighbours are images of the batch. Here encoder and bank find the neighbours, of
which the batch is a part.
"""

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pyg_agfn.distributed import gather_rows
from pyg_agfn.methods.method import Criterion, Method, StepOutput, TrainingBatch, full_precision
from pyg_agfn.nn import BaselineClassifier, CrossBatchMemory, mean_teacher
from pyg_agfn.registry import register_method
from pyg_agfn.transforms.checks import without_autocast
from pyg_agfn.transforms.similarity_edges import unit_rows


class NeighborScore(nn.Module):
    r"""How much an image's neighbour counts, 0 to 1, learned from the features of the two.

    Args:
        num_features (int): F.

    Shapes:
        - **input:** :math:`(N, F)` images, :math:`(N, k, F)` neighbours
        - **output:** :math:`(N, k)`
    """

    def __init__(self, num_features: int) -> None:
        super().__init__()
        half, quarter = max(1, num_features // 2), max(1, num_features // 4)
        self.own_part = half
        self.project = nn.Linear(num_features, num_features)
        self.score = nn.Sequential(
            nn.Linear(num_features, half),
            nn.ReLU(),
            nn.Linear(half, quarter),
            nn.ReLU(),
            nn.Linear(quarter, 2),
            nn.Softmax(dim=-1),
        )

    def forward(self, x: Tensor, neighbors: Tensor) -> Tensor:
        own = self.project(x)[:, : self.own_part].unsqueeze(1).expand(-1, neighbors.size(1), -1)
        pairs = torch.cat([own, self.project(neighbors)[..., self.own_part :]], dim=2)
        scores: Tensor = self.score(pairs)[..., 0]
        return scores


class LANetClassifier(BaselineClassifier):
    """Feature extractor and linear classifier, with the score of neighbours for training.

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
        self.score = NeighborScore(self.num_features)


@register_method("la-net")
class LANet(Method):
    r"""Learns a distribution for each image that moves from its label to its neighbours' answers.

    A momentum encoder has features and answers :math:`p` of each image; the bank has those of the
    last images. Each time that an image is seen, with its K nearest others by the cosine,

    .. math::
        t_i \leftarrow m \, t_i + (1 - m) \sum_{j \in N_K(i)} \frac{w_{ij}}{\sum_l w_{il}} p_j

    is what the network learns of it. :math:`t_i` begins as the given label, soft or not. The
    weights :math:`w` are learned by the same loss.

    The momentum of the encoder rises to its value (:func:`pyg_agfn.nn.mean_teacher`), as its first
    weights are random and not pretrained.

    Args:
        criterion: Loss of logits and distributions.
        num_neighbors: K. (default: :obj:`8`)
        momentum: Of the distributions, m. (default: :obj:`0.9`)
        encoder_momentum: Of the encoder. (default: :obj:`0.999`)
        bank_size: Images in the bank; all images, where there are fewer. (default: :obj:`8192`)
    """

    summary = "each label becomes a distribution, by what the network says of near images"
    color = "#00A5A5"
    linestyle = "-."
    learns_soft_labels = True

    model_class = LANetClassifier
    model: LANetClassifier

    def __init__(
        self,
        criterion: Criterion = F.cross_entropy,
        num_neighbors: int = 8,
        momentum: float = 0.9,
        encoder_momentum: float = 0.999,
        bank_size: int = 8192,
    ) -> None:
        super().__init__(criterion)
        self.num_neighbors = num_neighbors
        self.momentum = momentum
        self.encoder_momentum = encoder_momentum
        self.bank_size = bank_size
        #: :math:`t`, (n, K); zero for an image that was not seen yet.
        self.distributions = torch.empty(0)

    def setup(self, model: BaselineClassifier, num_images: int) -> None:
        super().setup(model, num_images)
        weight = model.classifier.weight
        num_classes, num_features = weight.shape
        self.encoder = mean_teacher(model, self.encoder_momentum)
        size = min(self.bank_size, num_images)
        self.bank = CrossBatchMemory(size, num_features, num_classes).to(weight)
        self.distributions = weight.new_zeros(num_images, num_classes).detach()

    def training_step(self, batch: TrainingBatch) -> StepOutput:
        logits = full_precision(self.model(batch.images))
        z = self.remember(batch)
        targets = self.targets(z, batch).to(logits.dtype)
        loss = self.criterion(logits, targets)
        index = gather_rows(batch.index.to(targets.device))
        self.distributions[index] = gather_rows(targets.detach()).to(self.distributions)
        return StepOutput(loss, logits, batch.labels)

    @torch.no_grad()
    def remember(self, batch: TrainingBatch) -> Tensor:
        """Puts the images in the bank as the encoder sees them; returns unit features (N, F)."""
        self.encoder.update_parameters(self.model)
        encoder = cast(LANetClassifier, self.encoder.module)
        features = encoder.features(batch.images)
        answers = full_precision(encoder.head(features)).softmax(1)
        z = unit_rows(full_precision(features))
        index = batch.index.to(z.device)
        rows = [gather_rows(part) for part in (z, answers, batch.labels, index)]
        self.bank.push(rows[0], rows[1], rows[2], torch.full_like(rows[2], -1), rows[3])
        return z

    def targets(self, z: Tensor, batch: TrainingBatch) -> Tensor:
        r"""The new distributions, :math:`(N, K)`, with the gradient of the neighbours' weights."""
        bank, index = self.bank, batch.index.to(z.device)
        given = batch.learned
        if not given.is_floating_point():
            given = F.one_hot(given, self.distributions.size(1))
        before = self.distributions[index]
        seen = before.sum(1, keepdim=True) > 0
        before = torch.where(seen, before, given.to(before))
        with without_autocast(z.device):
            similarity = z @ bank.features.to(z.dtype).t()
        others = (bank.index >= 0) & (bank.index != index.unsqueeze(1))
        similarity = similarity.masked_fill(~others, -torch.inf)
        near, place = similarity.topk(min(self.num_neighbors, len(bank.index)), dim=1)
        # Copies: the backward pass may come after the next push.
        features, answers = bank.features[place].to(z.dtype), bank.targets[place].to(z.dtype)
        weight = full_precision(self.model.score(z, features)) * near.isfinite()
        total = weight.sum(1, keepdim=True)
        mean = (weight.unsqueeze(2) * answers).sum(1) / total.clamp(min=1e-8)
        return torch.where(total > 0, self.momentum * before + (1 - self.momentum) * mean, before)

    def state_dict(self) -> dict[str, Tensor]:
        parts = {"encoder": self.encoder, "bank": self.bank}
        state = {
            f"{name}.{key}": tensor
            for name, module in parts.items()
            for key, tensor in module.state_dict().items()
        }
        return {**state, "distributions": self.distributions}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        distributions = state["distributions"]
        total = distributions.sum(1)
        if (distributions < 0).any() or not ((total == 0) | ((total - 1).abs() < 1e-3)).all():
            raise ValueError("distributions must be 0 or sum to 1")
        for name, module in (("encoder", self.encoder), ("bank", self.bank)):
            prefix = f"{name}."
            own = {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
            module.load_state_dict(own)
        self.distributions = distributions.to(self.distributions.device)
