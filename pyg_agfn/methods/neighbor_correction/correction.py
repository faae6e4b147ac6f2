"""Neighbour label correction as one module, for any model and any training loop.

The paper's graph joins the images of one batch and leaves their labels as they are. Here it joins
each image to thousands of past ones, and where the neighbours disagree with a label, what is
learned is softly theirs.

Sources of the parts: cross-batch memory (Wang et al., CVPR 2020), the Poisson graph (Du, Wang,
Xiong, Eq. 2-4), soft correction of labels (Reed et al., ICLR workshop 2015), the loss of the
graph's own parameters (Goldberger et al., *Neighbourhood components analysis*, NeurIPS 2004), mean
teacher (Tarvainen and Valpola, NeurIPS 2017).
"""

from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from pyg_agfn.distributed import gather_rows, own_rows, world_size
from pyg_agfn.methods.neighbor_correction.issue_rate import estimate_issue_rate
from pyg_agfn.methods.neighbor_correction.targets import (
    correct_labels,
    given_distribution,
    label_disagreement,
    posterior_reliability,
    threshold_of_share,
)
from pyg_agfn.nn.cross_batch_memory import CrossBatchMemory
from pyg_agfn.nn.mean_teacher import mean_teacher
from pyg_agfn.transforms import PoissonEdges, SimilarityEdges
from pyg_agfn.transforms.checks import check_features, check_labels

#: Estimates of the wrong share that are kept, the first ones.
MAX_RATES = 64
#: In the place of what is not known yet.
UNKNOWN = -1.0


class CorrectedLabels(NamedTuple):
    r"""What :class:`NeighborLabelCorrection` makes of a batch's labels.

    Attributes:
        targets: What to learn, distributions :math:`(N, K)`, without a gradient.
        loss: What :math:`\alpha, \beta` minimize, a scalar; None before the correction begins.
        disagreement: How strongly each label disagrees with its neighbours, :math:`(N)`, 0 to 1;
            -1 before the correction begins.
        posterior: The neighbours' label distribution :math:`(N, K)`, without a gradient; None
            before the correction begins.
    """

    targets: Tensor
    loss: Tensor | None
    disagreement: Tensor
    posterior: Tensor | None


class NeighborLabelCorrection(nn.Module):
    r"""Corrects the labels of a batch by those of its neighbours among past batches.

    An image's neighbours :math:`m` are found in a memory of the last images, by the expected
    Poisson edges of their features (Eq. 2-4). Their mean label distribution is its posterior
    :math:`q_i`, the image itself left out (:class:`~pyg_agfn.nn.CrossBatchMemory`). A label is
    moved towards it, by as much as it disagrees
    (:func:`~pyg_agfn.methods.neighbor_correction.correct_labels`):

    .. math::
        t_i = (1 - r c_i) \, y_i + r c_i \, q_i, \qquad
        c_i = 1 - \frac{q_{i, y_i}}{\max_k q_{ik}}

    As many labels are corrected as are estimated to be wrong when the correction begins
    (:func:`~pyg_agfn.methods.neighbor_correction.estimate_issue_rate`), and by as much as the
    neighbours are right (:func:`~pyg_agfn.methods.neighbor_correction.posterior_reliability`,
    :math:`r`). :math:`\alpha, \beta` learn to choose neighbours that tell the label, by
    :math:`-\sum_k t_{ik} \log q_{ik}`.

    Features are compared as directions and get no gradient. Those of an averaged model are better
    than the model's own: with ``teacher``, pass :meth:`teacher_features` in the place of ``z``.

    :math:`\alpha, \beta` (``corrector.edges.parameters()``) need a learning rate of their own,
    about 0.02 by SGD or Adam, and no weight decay: a step that is too large can leave no pair
    joined, and then there is no gradient to come back by.

    In evaluation mode labels are corrected, and nothing is remembered or counted.

    Args:
        num_classes (int): :math:`K`.
        feature_dim (int): :math:`F`.
        memory_size (int): Past images that are remembered. (default: :obj:`4096`)
        warmup_steps (int): Steps that only fill the memory: features have to be better than random,
            and labels not memorized yet. (default: :obj:`200`)
        recount_steps (int, optional): Steps between two estimates of the wrong share; 0 for none
            but those of :meth:`estimate_noise_rate`. (default: as many as renew the memory)
        max_share (float, optional): Share of a batch's labels that may be corrected, those that
            disagree most, in full. (default: :obj:`None`, estimated)
        neighbor_weight (float): Weight of the neighbours' posterior where :meth:`forward` is given
            that of another source too. (default: :obj:`0.5`)
        alpha (float): Initial :math:`\alpha`. (default: :obj:`8.0`)
        beta (float): Initial :math:`\beta`. (default: :obj:`-4.0`)
        edges (SimilarityEdges, optional): Graph generator, to share one with a layer such as
            :class:`~pyg_agfn.nn.AGFN`, in the place of one from ``alpha`` and ``beta``.
        teacher (torch.nn.Module, optional): A module whose running mean gives the features, such as
            the feature extractor in training.
        teacher_decay (float): Of the running mean. (default: :obj:`0.99`)
        gather_distributed (bool): Correct the labels of all processes' batches together, which need
            to be of one size: all processes then have the same memory and the same gradient of
            :math:`\alpha, \beta`. Without it each process keeps to itself. (default: :obj:`False`)

    Shapes:
        - **input:** features :math:`(N, F)`, labels :math:`(N)`, index :math:`(N)`, posterior of
          another source :math:`(N, K)` *(optional)*, soft labels :math:`(N, K)` *(optional)*
        - **output:** :class:`CorrectedLabels`

    Raises:
        ValueError: A size, share or number of steps out of its range; features, labels or index of
            another shape or type.

    Example:
        >>> corrector = NeighborLabelCorrection(num_classes=10, feature_dim=128)
        >>> z = backbone(images)
        >>> out = corrector(z, labels, index)  # index: which training images these are
        >>> loss = F.cross_entropy(classifier(z), out.targets)
        >>> if out.loss is not None:
        ...     loss = loss + out.loss
    """

    noise_rates: Tensor
    steps: Tensor

    def __init__(
        self,
        *,
        num_classes: int,
        feature_dim: int,
        memory_size: int = 4096,
        warmup_steps: int = 200,
        recount_steps: int | None = None,
        max_share: float | None = None,
        neighbor_weight: float = 0.5,
        alpha: float = 8.0,
        beta: float = -4.0,
        edges: SimilarityEdges | None = None,
        teacher: nn.Module | None = None,
        teacher_decay: float = 0.99,
        gather_distributed: bool = False,
    ) -> None:
        super().__init__()
        for name, value, least in (
            ("num_classes", num_classes, 2),
            ("feature_dim", feature_dim, 1),
            ("memory_size", memory_size, 1),
            ("warmup_steps", warmup_steps, 0),
            ("recount_steps", 0 if recount_steps is None else recount_steps, 0),
        ):
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ValueError(f"{name} must be a whole number from {least} on, got {value!r}")
        for name, share in (("max_share", max_share), ("neighbor_weight", neighbor_weight)):
            if share is not None and not 0 <= share <= 1:
                raise ValueError(f"{name} must be a share, 0 to 1, got {share}")
        self.num_classes = num_classes
        self.feature_dim = feature_dim
        self.warmup_steps = warmup_steps
        self.recount_steps = recount_steps
        self.max_share = max_share
        self.neighbor_weight = neighbor_weight
        self.gather_distributed = gather_distributed
        self.edges = PoissonEdges(alpha, beta) if edges is None else edges
        self.memory = CrossBatchMemory(memory_size, feature_dim, num_classes)
        self.teacher = None if teacher is None else mean_teacher(teacher, teacher_decay)
        #: Estimates of the share of wrong labels, the first one first.
        self.register_buffer("noise_rates", torch.full((MAX_RATES,), UNKNOWN))
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))
        self._steps = 0  # the same, without waiting for a GPU

    @property
    def noise_rate(self) -> float | None:
        """The estimated share of wrong labels, the median of all estimates; None before the first.

        The first one may be of features too young, the last of labels that are memorized.
        """
        known = self.noise_rates[self.noise_rates >= 0]
        return float(known.median()) if len(known) else None

    @torch.no_grad()
    def teacher_features(self, module: nn.Module, *inputs: Any) -> Tensor:
        """Moves the teacher towards ``module``'s weights, and returns its features of the inputs.

        Raises:
            ValueError: There is no teacher.
        """
        if self.teacher is None:
            raise ValueError("there is no teacher: pass teacher=module to the constructor")
        self.teacher.update_parameters(module)
        return cast(Tensor, self.teacher(*inputs))

    def forward(
        self,
        z: Tensor,
        labels: Tensor,
        index: Tensor,
        posterior: Tensor | None = None,
        correct: bool | None = None,
        soft_labels: Tensor | None = None,
    ) -> CorrectedLabels:
        r"""Corrects the labels of a batch, and remembers it.

        Args:
            z: Features of the images.
            labels: Labels as given, 0 to K - 1.
            index: Which training images they are; the same number for every view of an image.
            posterior: Label distributions of another source, such as a classifier. Labels are then
                corrected by the weighted mean of both.
            correct: Whether labels are corrected yet. (default: after ``warmup_steps``)
            soft_labels: Distributions of raters in the place of the one-hot labels :math:`y`. How
                strongly a label disagrees, and how many are wrong, is still told by ``labels``.
        """
        index = index.to(z.device, non_blocking=True)  # from the CPU, without waiting
        self._check(z, labels, index, posterior=posterior, soft_labels=soft_labels)
        labels, index = labels.long(), index.long()
        rows = slice(None)
        if self.gather_distributed and world_size() > 1:
            z, labels, index = (gather_rows(x.detach()) for x in (z, labels, index))
            posterior, soft_labels = (
                None if x is None else gather_rows(x.detach()) for x in (posterior, soft_labels)
            )
            rows = own_rows(len(labels))
        if correct is None:
            correct = self._steps >= self.warmup_steps
        if correct:
            self._recount(len(labels))
            out = self._correct(z, labels, index, posterior, soft_labels)
        else:
            dtype = torch.promote_types(z.dtype, torch.float32)
            targets = given_distribution(labels, self.num_classes, soft_labels).to(dtype)
            out = CorrectedLabels(targets, None, torch.full_like(targets[:, 0], UNKNOWN), None)
        if self.training:
            self.memory.push(z.detach(), out.targets, labels, out.disagreement, index)
            self.steps += 1
            self._steps += 1
        return CorrectedLabels(
            out.targets[rows],
            out.loss,
            out.disagreement[rows],
            None if out.posterior is None else out.posterior[rows],
        )

    def _correct(
        self,
        z: Tensor,
        labels: Tensor,
        index: Tensor,
        posterior: Tensor | None,
        soft_labels: Tensor | None,
    ) -> CorrectedLabels:
        neighbors = self.memory.posterior(self.edges, z, index)
        source = neighbors.detach()
        if posterior is not None:
            source = posterior.detach().to(source.dtype).lerp(source, self.neighbor_weight)
        targets = correct_labels(labels, source, *self._limits(), soft_labels)
        loss = None
        if self._steps:  # something is remembered
            loss = -(targets * neighbors.log()).sum(1).mean()
        return CorrectedLabels(
            targets, loss, label_disagreement(source, labels), neighbors.detach()
        )

    def _limits(self) -> tuple[float, float | Tensor, float | Tensor]:
        """Share of the labels that may be corrected, their least disagreement, and its factor.

        The last two are of the memory's labels as they came in, and of the first estimate: later
        ones miss the wrong labels that are memorized.
        """
        if self.max_share is not None:
            return self.max_share, 0.0, 1.0
        wrong = self.noise_rates[0].clamp(min=0)
        lately = self.memory.disagreement
        return 1.0, threshold_of_share(lately, wrong), posterior_reliability(lately, wrong)

    def _recount(self, batch_size: int) -> None:
        """Estimates the wrong share, where it is time to."""
        every = self.recount_steps
        if every is None:
            every = max(1, len(self.memory.index) // batch_size)
        if self.training and every and (self._steps - self.warmup_steps) % every == 0:
            self.estimate_noise_rate()

    def estimate_noise_rate(self) -> float | None:
        """Estimates the share of wrong labels in the memory, and keeps the estimate.

        The first estimate decides on how many labels are corrected from then on.

        Returns:
            The estimate; None if the memory holds too few images for one.
        """
        if not self._steps:
            return None
        posterior, labels = self.memory.posteriors(self.edges)
        found = estimate_issue_rate(posterior, labels)
        free = (self.noise_rates < 0).nonzero().flatten()
        if found is not None and len(free):
            self.noise_rates[free[0]] = found
            if free[0] == 0:  # from now on labels come in with their disagreement
                scores = label_disagreement(posterior, labels)
                self.memory.disagreement[self.memory.index >= 0] = scores.to(
                    self.memory.disagreement
                )
        return found

    def _check(
        self, z: Tensor, labels: Tensor, index: Tensor, **distributions: Tensor | None
    ) -> None:
        check_features("z", z, self.feature_dim)
        check_labels("labels", labels, z)
        check_labels("index", index, z)
        for name, given in distributions.items():
            if given is not None and given.shape != (len(z), self.num_classes):
                raise ValueError(
                    f"{name} must be of shape [{len(z)}, {self.num_classes}], got "
                    f"{list(given.shape)}"
                )

    def train(self, mode: bool = True) -> "NeighborLabelCorrection":
        """Training or evaluation mode; the teacher stays in the latter."""
        super().train(mode)
        if self.teacher is not None:
            self.teacher.eval()
        return self

    def _load_from_state_dict(self, *arguments: Any, **given: Any) -> None:
        super()._load_from_state_dict(*arguments, **given)
        self._steps = int(self.steps)

    def extra_repr(self) -> str:
        return (
            f"num_classes={self.num_classes}, feature_dim={self.feature_dim}, "
            f"memory_size={len(self.memory.index)}, warmup_steps={self.warmup_steps}"
        )
