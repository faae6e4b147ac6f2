"""AGFN's ``--recipe best``: labels are corrected by what the graph's neighbours say of them.

The paper's graph joins the images of one batch and leaves their labels as they are. Here it also
joins each image to thousands of past ones, and where these contradict a label, what is learned is
softly theirs.

Sources of the parts: mean teacher (Tarvainen and Valpola, NeurIPS 2017), cross-batch memory (Wang
et al., CVPR 2020), soft correction of labels (Reed et al., *Training deep neural networks on noisy
labels with bootstrapping*, ICLR workshop 2015), the loss of the graph's own parameters (Goldberger
et al., *Neighbourhood components analysis*, NeurIPS 2004).
"""

from collections.abc import Callable
from typing import Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor

from pyg_agfn.distributed import gather_rows
from pyg_agfn.nn import AGFNClassifier, BaselineClassifier, CrossBatchMemory, mean_teacher
from pyg_agfn.rivals.objective import Objective, full_precision
from pyg_agfn.training.contradiction import (
    contradiction,
    correct_labels,
    find_noise_rate,
    of_labels,
    reliability,
    threshold_of_share,
)

Judges = Literal["nobody", "teacher", "neighbours", "both"]
Heads = Literal["graph", "alone", "both"]

#: Noise rates that are kept, those of the first epochs.
MAX_RATES = 64
#: In the place of what is not known yet.
NOT_YET = -1.0


class LabelCorrection(Objective):
    r"""Loss of AGFN's answers against corrected labels, and the loss of :math:`\alpha, \beta`.

    In a step, teacher and memory give each image an opinion of its label
    (:class:`~pyg_agfn.nn.CrossBatchMemory`),
    :func:`~pyg_agfn.training.contradiction.correct_labels` makes targets of label and opinion, and
    the images enter the memory with the teacher's features and these targets. What
    :math:`W` minimizes is the mean loss of the heads. What :math:`\alpha, \beta` minimize is the
    neighbours' cross-entropy with the targets,
    :math:`-\sum_k t_{ik} \log q_{ik}`, by its true gradient through Eq. 3 and 4.

    Args:
        criterion: Loss of logits :math:`(N, K)` and distributions :math:`(N, K)`.
        decay (float): Of the averaged teacher; 0 for none, then the model judges itself.
        memory (int): Past images that the graph sees; 0 for none, then :math:`\alpha, \beta`
            minimize the heads' loss, as in the paper; with ``"alone"`` they stay as they are.
        judges (str): Whose opinion corrects the labels. ``"both"``: the mean of the two.
        heads (str): ``"graph"`` learns the answers over the batch's graph, as the paper does;
            ``"alone"`` each image's by itself; ``"both"`` the two, so that the same weights can do
            without company.
        begin_epoch (int): First epoch with a graph and corrected labels, from 1.
        at_most (float, optional): Share of a batch's labels that may be corrected, of those that a
            process has of it. :obj:`None`: as many as the memory finds to be likelier wrong than
            right when the correction begins
            (:func:`~pyg_agfn.training.contradiction.find_noise_rate`): those that are contradicted
            as strongly as this share of the memory's labels were when they were seen, and by as
            much as the neighbours are right (:func:`~pyg_agfn.training.contradiction.reliability`).
            Without a memory: all, in full.

    Raises:
        ValueError: Neighbours are to judge, and there is no memory of them.
    """

    one_pass = True

    def __init__(
        self,
        criterion: Callable[[Tensor, Tensor], Tensor],
        decay: float,
        memory: int,
        judges: Judges,
        heads: Heads,
        begin_epoch: int,
        at_most: float | None = 1.0,
    ) -> None:
        super().__init__(criterion)
        if judges in ("neighbours", "both") and not memory:
            raise ValueError(f"judges={judges!r} needs a memory of neighbours")
        self.decay = decay
        self.memory_size = memory
        self.judges = judges
        self.heads = heads
        self.begin_epoch = begin_epoch
        self.at_most = at_most

    def begin(self, model: BaselineClassifier, num_images: int) -> None:
        assert isinstance(model, AGFNClassifier)
        self.teacher = mean_teacher(model, self.decay) if self.decay else None
        self.memory = None
        if self.memory_size:
            num_classes = model.classifier.out_features
            memory = CrossBatchMemory(self.memory_size, model.agfn.hidden_channels, num_classes)
            self.memory = memory.to(model.classifier.weight)
        # What was counted so far, one an epoch.
        self.noise_rates = torch.full((MAX_RATES,), NOT_YET, dtype=torch.float64)
        # In which epoch last.
        self.counted = torch.zeros((), dtype=torch.long)

    def __call__(
        self, model: BaselineClassifier, images: Tensor, labels: Tensor, index: Tensor, epoch: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        assert isinstance(model, AGFNClassifier)
        z = model.agfn.projector(model.features(images))
        judge, seen = self._judge(model, images, z)
        targets, contradicted, self.graph_loss = self._targets(
            model, judge, seen, labels, index, epoch
        )
        if self.memory is not None:
            remembered = (seen, targets, labels, contradicted, index.to(labels.device))
            self.memory.push(*map(gather_rows, remembered))
        answers = []
        if self.heads != "graph" or not model.agfn.use_graph:
            answers.append(model.agfn.normalizer.dense_forward(z, None))
        if self.heads != "alone" and model.agfn.use_graph:
            answers.append(model.agfn.propagate(z))
        losses = []
        for x in answers:
            logits = full_precision(model.classifier(x))
            losses.append(self.criterion(logits, targets.repeat(len(logits) // len(targets), 1)))
        return torch.stack(losses).mean(), logits, labels.repeat(len(logits) // len(labels))

    @torch.no_grad()
    def _judge(
        self, model: AGFNClassifier, images: Tensor, z: Tensor
    ) -> tuple[AGFNClassifier, Tensor]:
        """The teacher, or the model itself, and its projected features of the images, (N, F)."""
        if self.teacher is None:
            return model, z.detach()
        self.teacher.update_parameters(model)
        teacher = cast(AGFNClassifier, self.teacher.module)
        return teacher, teacher.agfn.projector(teacher.features(images))

    @property
    def _counting_memory(self) -> CrossBatchMemory | None:
        """Where wrong labels are counted, to correct as many; none where their share is set."""
        return self.memory if self.at_most is None else None

    def _count_wrong(self, model: AGFNClassifier, epoch: int) -> None:
        """Counts the memory's wrong labels, before the first step of an epoch."""
        memory = self._counting_memory
        if memory is None or epoch == self.counted:
            return
        self.counted.fill_(epoch)
        opinion, labels = memory.opinions(model.agfn.edges)
        found = find_noise_rate(opinion, labels)
        free = (self.noise_rates == NOT_YET).nonzero().flatten()
        if found is None or not len(free):
            return
        self.noise_rates[free[0]] = found
        if free[0] == 0:  # from now on labels come in with what contradicts them
            against = of_labels(contradiction(opinion), labels)
            memory.contradicted[memory.index >= 0] = against.to(memory.contradicted)

    def _limits(self) -> tuple[float | Tensor, float | Tensor]:
        """The least contradiction of a label that is corrected, and how much of it counts."""
        memory = self._counting_memory
        if memory is None:
            return 0.0, 1.0
        # Of the first count: later ones miss the labels that were learned by heart in spite of all.
        wrong = max(float(self.noise_rates[0]), 0.0)
        lately = memory.contradicted
        return threshold_of_share(lately, wrong), reliability(lately, wrong)

    def _targets(
        self,
        model: AGFNClassifier,
        judge: AGFNClassifier,
        seen: Tensor,
        labels: Tensor,
        index: Tensor,
        epoch: int,
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """What is learned of the images, (N, K), contradictions, (N), and what neighbours cost."""
        dtype = full_precision(seen).dtype
        targets = F.one_hot(labels, model.classifier.out_features).to(dtype)
        contradicted = torch.full_like(targets[:, 0], NOT_YET)
        if epoch < self.begin_epoch:
            return targets, contradicted, None
        self._count_wrong(model, epoch)
        opinions, neighbours = [], None
        if self.judges in ("teacher", "both"):
            # Not no_grad(): autocast would keep weights cast without a gradient for the heads.
            logits = judge.classifier(judge.agfn.normalizer.dense_forward(seen, None)).detach()
            opinions.append(full_precision(logits).softmax(1))
        if self.memory is not None:
            neighbours = self.memory.opinion(model.agfn.edges, seen, index)
            if self.judges in ("neighbours", "both"):
                opinions.append(neighbours.detach().to(dtype))
        if opinions:
            opinion = torch.stack(opinions).mean(0)
            contradicted = of_labels(contradiction(opinion), labels)
            at_most = 1.0 if self.at_most is None else self.at_most
            targets = correct_labels(labels, opinion, at_most, *self._limits())
        if neighbours is None:
            return targets, contradicted, None
        cost = -(targets.to(neighbours.dtype) * neighbours.log()).sum(1).mean()
        return targets, contradicted, cost

    def trained(self, model: BaselineClassifier) -> BaselineClassifier:
        if self.teacher is None:
            return model
        teacher = cast(AGFNClassifier, self.teacher.module)
        teacher.agfn.use_graph = cast(AGFNClassifier, model).agfn.use_graph
        return teacher

    def findings(self) -> dict[str, float | None]:
        if self._counting_memory is None:
            return {}
        # The first may be of features too young, the last of labels learned by heart.
        rates = self.noise_rates[self.noise_rates != NOT_YET]
        return {"noise_rate": float(rates.median()) if len(rates) else None}

    def state_dict(self) -> dict[str, Tensor]:
        parts = {"teacher": self.teacher, "memory": self.memory}
        state = {
            f"{name}.{key}": tensor
            for name, module in parts.items()
            if module is not None
            for key, tensor in module.state_dict().items()
        }
        return {**state, "noise_rates": self.noise_rates, "counted": self.counted}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        rates, counted = state["noise_rates"], state["counted"]
        if not ((rates == NOT_YET) | ((rates >= 0) & (rates <= 1))).all():
            raise ValueError(f"no noise rates: {rates.tolist()}")
        if counted < 0:
            raise ValueError(f"no epoch: {int(counted)}")
        self.noise_rates.copy_(rates)
        self.counted.copy_(counted)
        for name, module in (("teacher", self.teacher), ("memory", self.memory)):
            if module is not None:
                prefix = f"{name}."
                module.load_state_dict(
                    {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
                )
