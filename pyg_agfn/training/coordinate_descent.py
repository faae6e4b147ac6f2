"""Coordinate descent: a step of α and β with W held, and one of W with these held (Section 3.3)."""

import math
import warnings

import torch
from lightning.fabric import Fabric
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from pyg_agfn.distributed import average_gradients
from pyg_agfn.methods.method import Method, StepOutput, TrainingBatch
from pyg_agfn.nn import AGFNClassifier, BaselineClassifier
from pyg_agfn.training.options import TrainOptions
from pyg_agfn.transforms import PoissonEdges


def lr_factor(step: int, warmup: int, num_steps: int) -> float:
    """Factor of the learning rate in a step, from 0: a straight rise, then half a cosine to 0."""
    if step < warmup:
        return (step + 1) / warmup
    return (1 + math.cos(math.pi * (step - warmup) / (num_steps - warmup))) / 2


class CoordinateDescent:
    r"""Updates the two groups of a model's parameters, each with its own optimizer.

    As the paper takes the groups as independent (Section 3.3), both gradients are of the weights
    before the step: that of :math:`\alpha, \beta` by Eq. 11 and 14, that of :math:`W` by Eq. 9 and
    10. Each group descends its own loss of :class:`~pyg_agfn.methods.StepOutput`, which are most
    often of a draw of the graph of their own. Where both are one loss, one backward pass gives both
    gradients.

    A model without :math:`\alpha` and :math:`\beta` has only the step of :math:`W`.

    In ``float16`` the losses are scaled up, so that small gradients are not lost. A group whose
    scaled gradients overflow does not take its step, and the scale is halved for the next one.

    Args:
        fabric (Fabric): Device and precision.
        model (BaselineClassifier): On the device.
        method (Method): What a step minimizes, set up for the model.
        options (TrainOptions): Learning rates, momentum, weight decay.
        num_steps (int): Steps in which the learning rate of :math:`W` falls to 0; the share of
            them that the options' warm-up takes of the epochs comes before the fall.
    """

    def __init__(
        self,
        fabric: Fabric,
        model: BaselineClassifier,
        method: Method,
        options: TrainOptions,
        num_steps: int,
    ) -> None:
        self.fabric = fabric
        self.model = model
        self.method = method
        agfn = model.agfn if isinstance(model, AGFNClassifier) else None
        learned = agfn is not None and isinstance(agfn.edges, PoissonEdges)
        self.graph = list(agfn.edges.parameters()) if agfn is not None and learned else []
        of_graph = {id(parameter) for parameter in self.graph}
        every = (p for p in model.parameters() if p.requires_grad)  # a user may have frozen some
        self.weights = [p for p in every if id(p) not in of_graph]
        self.optimizers: list[torch.optim.Optimizer] = [
            torch.optim.SGD(
                self.weights, options.lr, options.momentum, weight_decay=options.weight_decay
            )
        ]
        if self.graph:
            kind = torch.optim.Adam if options.graph_optimizer == "adam" else torch.optim.SGD
            self.optimizers.append(kind(self.graph, options.lr_graph))
        self.scaler = torch.amp.GradScaler(fabric.device.type, enabled=options.precision == "fp16")
        if self.scaler.is_enabled():  # the scale is found by leaving out the first steps
            warnings.filterwarnings("ignore", r"Detected call of `lr_scheduler\.step")
        self.num_steps = num_steps
        warmup = num_steps * options.warmup_epochs // options.epochs
        self.schedule = LambdaLR(
            self.optimizers[0], lambda step: lr_factor(step, warmup, num_steps)
        )

    def step(self, batch: TrainingBatch) -> StepOutput:
        """One mini-batch. The output is that before the update, without gradients."""
        with self.fabric.autocast():
            out = self.method.training_step(batch)
        graph_loss = out.graph_loss if self.graph else None
        if graph_loss is not None and graph_loss is out.loss:
            self._backward(out.loss, self.weights + self.graph)
        else:
            if graph_loss is not None:
                self._backward(graph_loss, self.graph, retain_graph=True)
            self._backward(out.loss, self.weights)
        stepping = self.optimizers if graph_loss is not None else self.optimizers[:1]
        for optimizer in stepping:
            self.scaler.step(optimizer)
            optimizer.zero_grad()
        self.scaler.update()
        self.schedule.step()
        return StepOutput(out.loss.detach(), out.logits.detach(), out.targets)

    def _backward(
        self, loss: Tensor, parameters: list[nn.Parameter], retain_graph: bool = False
    ) -> None:
        # `inputs` stops the backward pass at the parameters whose turn it is. With two passes a
        # step for two groups DistributedDataParallel cannot work, so this averages by itself.
        self.fabric.backward(self.scaler.scale(loss), inputs=parameters, retain_graph=retain_graph)
        average_gradients(parameters)
