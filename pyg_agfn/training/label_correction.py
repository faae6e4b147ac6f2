"""AGFN's ``--recipe best``: trained on labels that its graph's neighbours have corrected."""

from collections.abc import Callable
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor

from pyg_agfn.choices import Heads as Heads
from pyg_agfn.choices import Judges as Judges
from pyg_agfn.distributed import world_size
from pyg_agfn.methods.neighbor_correction import NeighborLabelCorrection, correct_labels
from pyg_agfn.methods.neighbor_correction.correction import UNKNOWN
from pyg_agfn.methods.objective import Objective, full_precision
from pyg_agfn.nn import AGFNClassifier, BaselineClassifier, mean_teacher


class LabelCorrection(Objective):
    r"""Loss of AGFN's answers against corrected labels, and the loss of :math:`\alpha, \beta`.

    In a step, :class:`~pyg_agfn.methods.neighbor_correction.NeighborLabelCorrection` makes targets
    of the labels, by the teacher's features and the model's own graph. What :math:`W` minimizes is
    the mean loss of the heads against these; :math:`\alpha, \beta` minimize the correction's loss.

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
        at_most (float, optional): Share of a batch's labels that may be corrected. :obj:`None`: as
            many as the memory finds to be wrong. Without a memory: all.

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
        self.corrector = None
        # In which epoch the wrong labels were counted last.
        self.counted = 0
        if self.memory_size:
            self.corrector = NeighborLabelCorrection(
                num_classes=model.classifier.out_features,
                feature_dim=model.agfn.hidden_channels,
                memory_size=self.memory_size,
                recount_steps=0,  # once an epoch instead
                max_share=0.0 if self.judges == "nobody" else self.at_most,
                neighbor_weight=0.0 if self.judges == "teacher" else 0.5,
                edges=model.agfn.edges,
                gather_distributed=world_size() > 1,
            )
            self.corrector.memory.to(model.classifier.weight)

    @property
    def _counts(self) -> bool:
        """Whether as many labels are corrected as are counted, and not a share that is set."""
        return self.corrector is not None and self.at_most is None

    def __call__(
        self, model: BaselineClassifier, images: Tensor, labels: Tensor, index: Tensor, epoch: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        assert isinstance(model, AGFNClassifier)
        z = model.agfn.projector(model.features(images))
        judge, seen = self._judge(model, images, z)
        targets, self.graph_loss = self._targets(judge, seen, labels, index, epoch)
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

    def _targets(
        self, judge: AGFNClassifier, seen: Tensor, labels: Tensor, index: Tensor, epoch: int
    ) -> tuple[Tensor, Tensor | None]:
        """What is learned of the images, (N, K), and the loss of the graph's parameters."""
        begun = epoch >= self.begin_epoch
        posterior = None
        if begun and self.judges in ("teacher", "both"):
            # Not no_grad(): autocast would keep weights cast without a gradient for the heads.
            logits = judge.classifier(judge.agfn.normalizer.dense_forward(seen, None)).detach()
            posterior = full_precision(logits).softmax(1)
        if self.corrector is None:
            given = F.one_hot(labels, judge.classifier.out_features).to(full_precision(seen).dtype)
            at_most = 1.0 if self.at_most is None else self.at_most
            return (
                given if posterior is None else correct_labels(labels, posterior, at_most)
            ), None
        if begun and self._counts and epoch != self.counted:
            self.counted = epoch
            self.corrector.estimate_noise_rate()
        out = self.corrector(seen, labels, index, posterior, correct=begun)
        return out.targets, out.loss

    def trained(self, model: BaselineClassifier) -> BaselineClassifier:
        if self.teacher is None:
            return model
        teacher = cast(AGFNClassifier, self.teacher.module)
        teacher.agfn.use_graph = cast(AGFNClassifier, model).agfn.use_graph
        return teacher

    def findings(self) -> dict[str, float | None]:
        if self.corrector is None or not self._counts:
            return {}
        return {"noise_rate": self.corrector.noise_rate}

    def state_dict(self) -> dict[str, Tensor]:
        parts = {"teacher": self.teacher, "corrector": self.corrector}
        state = {
            f"{name}.{key}": tensor
            for name, module in parts.items()
            if module is not None
            for key, tensor in module.state_dict().items()
            if not key.startswith("edges.")  # these are the model's
        }
        return {**state, "counted": torch.tensor(self.counted)}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        if state["counted"] < 0:
            raise ValueError(f"no epoch: {int(state['counted'])}")
        rates = state.get("corrector.noise_rates", torch.zeros(0))
        if not ((rates == UNKNOWN) | ((rates >= 0) & (rates <= 1))).all():
            raise ValueError(f"no noise rates: {rates.tolist()}")
        self.counted = int(state["counted"])
        for name, module in (("teacher", self.teacher), ("corrector", self.corrector)):
            if module is not None:
                prefix = f"{name}."
                own = {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
                own |= {k: v for k, v in module.state_dict().items() if k.startswith("edges.")}
                module.load_state_dict(own)
