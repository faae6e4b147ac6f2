"""AGFN trained on labels that the neighbours in a memory have corrected: the method ``agfn-nlc``.

It is beyond the paper; ``docs/label_correction.md`` says what each part is worth.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, cast

import torch
import torch.nn.functional as F
from torch import Tensor

from pyg_agfn.distributed import world_size
from pyg_agfn.methods.agfn import POISSON_OPTIONS, AGFNMethod
from pyg_agfn.methods.method import Criterion, StepOutput, TrainingBatch, full_precision
from pyg_agfn.methods.neighbor_correction.correction import UNKNOWN, NeighborLabelCorrection
from pyg_agfn.methods.neighbor_correction.targets import correct_labels, given_distribution
from pyg_agfn.nn import AGFNClassifier, BaselineClassifier, mean_teacher
from pyg_agfn.registry import register_method

if TYPE_CHECKING:
    from pyg_agfn.choices import ClassifierInputs, LabelSource
    from pyg_agfn.training.options import TrainOptions


@register_method("agfn-nlc")
class NeighborCorrection(AGFNMethod):
    r"""AGFN with neighbour label correction.

    In a step, :class:`~pyg_agfn.NeighborLabelCorrection` makes targets of the labels, by the
    teacher's features and the model's own graph. :math:`W` minimizes the mean loss of the
    classifier against these; :math:`\alpha, \beta` minimize the correction's loss.

    Args:
        criterion: Loss of logits :math:`(N, K)` and distributions :math:`(N, K)`.
            (default: cross-entropy)
        pretrain_epochs (int): Epochs before labels are corrected. (default: :obj:`0`)
        teacher_decay (float): Of the averaged teacher; 0 for none, then the model's own features
            find the neighbours. (default: :obj:`0.99`)
        memory_size (int): Past images that the graph sees; 0 for none, then :math:`\alpha, \beta`
            minimize the classifier's loss, as in the paper; with ``"single"`` they rest.
            (default: :obj:`4096`)
        label_source (str): Whose label distribution corrects the labels: ``"given"`` (none is
            corrected), ``"teacher"``, ``"neighbors"``, or ``"both"``, the mean of the two.
            (default: :obj:`"neighbors"`)
        max_share (float, optional): Share of a batch's labels that may be corrected. :obj:`None`:
            as many as are estimated to be wrong; without a memory all. (default: :obj:`None`)
        classifier_inputs (str): ``"graph"`` learns the answers over the batch's graph, as the paper
            does; ``"single"`` of each image by itself; ``"both"`` the two.
            (default: :obj:`"single"`)

    Raises:
        ValueError: Neighbours are to correct labels, and there is no memory of them.
    """

    summary = "AGFN whose training labels are corrected by those of similar past images"
    color = "#332288"
    options: ClassVar[frozenset[str]] = POISSON_OPTIONS | {
        "classifier_inputs",
        "label_source",
        "max_share",
        "memory_size",
        "teacher_decay",
    }
    defaults: ClassVar[dict[str, Any]] = {
        "alpha": 8.0,
        "beta": -4.0,
        "graph_optimizer": "adam",
        "lr_graph": 0.02,
    }

    def __init__(
        self,
        criterion: Criterion = F.cross_entropy,
        pretrain_epochs: int = 0,
        *,
        teacher_decay: float = 0.99,
        memory_size: int = 4096,
        label_source: LabelSource = "neighbors",
        max_share: float | None = None,
        classifier_inputs: ClassifierInputs = "single",
    ) -> None:
        super().__init__(criterion, pretrain_epochs)
        if label_source in ("neighbors", "both") and not memory_size:
            raise ValueError(f"label_source={label_source!r} needs a memory of neighbours")
        self.teacher_decay = teacher_decay
        self.memory_size = memory_size
        self.label_source = label_source
        self.max_share = max_share
        self.classifier_inputs = classifier_inputs

    @classmethod
    def from_options(cls, options: TrainOptions, criterion: Criterion) -> NeighborCorrection:
        return cls(
            criterion,
            options.pretrain_epochs,
            teacher_decay=options.teacher_decay,
            memory_size=options.memory_size,
            label_source=options.label_source,
            max_share=options.max_share,
            classifier_inputs=options.classifier_inputs,
        )

    def setup(self, model: BaselineClassifier, num_images: int) -> None:
        super().setup(model, num_images)
        self.teacher = mean_teacher(self.model, self.teacher_decay) if self.teacher_decay else None
        self.corrector = None
        # The epoch in which the wrong labels were counted last.
        self.counted = 0
        if self.memory_size:
            self.corrector = NeighborLabelCorrection(
                num_classes=model.classifier.out_features,
                feature_dim=self.model.agfn.hidden_channels,
                memory_size=self.memory_size,
                recount_steps=0,  # once an epoch instead
                max_share=0.0 if self.label_source == "given" else self.max_share,
                neighbor_weight=0.0 if self.label_source == "teacher" else 0.5,
                edges=self.model.agfn.edges,
                gather_distributed=world_size() > 1,
            )
            self.corrector.memory.to(model.classifier.weight)

    @property
    def _counts(self) -> bool:
        """Whether as many labels are corrected as are counted, and not a share that is set."""
        return self.corrector is not None and self.max_share is None

    def training_step(self, batch: TrainingBatch) -> StepOutput:
        model, labels = self.model, batch.labels
        use_graph = self.uses_graph(batch.epoch)
        z = model.agfn.projector(model.features(batch.images))
        source, seen = self._label_source(batch.images, z)
        targets, graph_loss = self._targets(source, seen, batch)
        answers = []
        if self.classifier_inputs != "graph" or not use_graph:
            answers.append(model.agfn.propagate(z, use_graph=False))
        if self.classifier_inputs != "single" and use_graph:
            answers.append(model.agfn.propagate(z))
        losses = []
        for x in answers:
            logits = full_precision(model.classifier(x))
            losses.append(self.criterion(logits, targets.repeat(len(logits) // len(targets), 1)))
        loss = torch.stack(losses).mean()
        if self.corrector is None and use_graph and self.classifier_inputs != "single":
            graph_loss = loss  # as in the paper
        return StepOutput(loss, logits, labels.repeat(len(logits) // len(labels)), graph_loss)

    @torch.no_grad()
    def _label_source(self, images: Tensor, z: Tensor) -> tuple[AGFNClassifier, Tensor]:
        """The teacher, or the model itself, and its projected features of the images, (N, F)."""
        if self.teacher is None:
            return self.model, z.detach()
        self.teacher.update_parameters(self.model)
        teacher = cast(AGFNClassifier, self.teacher.module)
        return teacher, teacher.agfn.projector(teacher.features(images))

    def _targets(
        self, source: AGFNClassifier, seen: Tensor, batch: TrainingBatch
    ) -> tuple[Tensor, Tensor | None]:
        """What is learned of the images, (N, K), and the loss of the graph's parameters."""
        labels, begun = batch.labels, self.uses_graph(batch.epoch)
        posterior = None
        if begun and self.label_source in ("teacher", "both"):
            # Not no_grad(): autocast would keep weights cast without a gradient for the classifier.
            logits = source.classifier(source.agfn.propagate(seen, use_graph=False)).detach()
            posterior = full_precision(logits).softmax(1)
        soft = batch.soft_labels
        if self.corrector is None:
            if posterior is None:
                given = given_distribution(labels, source.classifier.out_features, soft)
                return given.to(full_precision(seen).dtype), None
            share = 1.0 if self.max_share is None else self.max_share
            return correct_labels(labels, posterior, share, soft_labels=soft), None
        if begun and self._counts and batch.epoch != self.counted:
            self.counted = batch.epoch
            self.corrector.estimate_noise_rate()
        out = self.corrector(seen, labels, batch.index, posterior, begun, soft)
        return out.targets, out.loss

    def inference_model(self) -> BaselineClassifier:
        return self.model if self.teacher is None else cast(AGFNClassifier, self.teacher.module)

    def metrics(self) -> dict[str, float | None]:
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
        labels = state.get("corrector.memory.labels", torch.zeros(0))
        if not ((labels >= 0) & (labels < self.model.classifier.out_features)).all():
            raise ValueError("the memory has labels of other classes")
        self.counted = int(state["counted"])
        for name, module in (("teacher", self.teacher), ("corrector", self.corrector)):
            if module is not None:
                prefix = f"{name}."
                own = {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
                own |= {k: v for k, v in module.state_dict().items() if k.startswith("edges.")}
                module.load_state_dict(own)
