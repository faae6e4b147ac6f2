"""Coordinate descent: α and β with W fixed, then W with α and β fixed (Section 3.3)."""

import math
import warnings

import torch
from lightning.fabric import Fabric
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from pyg_agfn.distributed import average_gradients
from pyg_agfn.methods.objective import Objective
from pyg_agfn.nn import AGFNClassifier, BaselineClassifier
from pyg_agfn.training.options import TrainOptions
from pyg_agfn.transforms import PoissonEdges


def lr_factor(step: int, warmup: int, num_steps: int) -> float:
    """Share of the learning rate in a step, from 0: a straight rise, then half a cosine to 0."""
    if step < warmup:
        return (step + 1) / warmup
    return (1 + math.cos(math.pi * (step - warmup) / (num_steps - warmup))) / 2


class CoordinateDescent:
    r"""Updates the two groups of a model's parameters, each with its own optimizer.

    ``alternate`` follows the paper: each group takes its step with the other one held, on a draw
    of its own: :math:`\alpha, \beta` by Eq. 11 and 14, then :math:`W` by Eq. 9 and 10. In this
    order both see the batch with one pass of the backbone, as what the backbone yields does not
    depend on :math:`\alpha, \beta`; the other order is the same sequence of steps, begun one step
    later, and needs a second pass with the new :math:`W`. ``joint`` takes both steps from one
    gradient and one draw.

    A model without :math:`\alpha` and :math:`\beta` has only the step of :math:`W`. An objective
    with a loss of its own for :math:`\alpha, \beta` has each group descend its own loss.

    In ``float16`` the losses are scaled up, so that small gradients are not lost. A group whose
    scaled gradients overflow does not take its step, and the scale is halved for the next one.

    Args:
        fabric (Fabric): Device and precision.
        model (BaselineClassifier): On the device.
        objective (Objective): What a step minimizes.
        options (TrainOptions): Learning rates, momentum, weight decay, kind of descent.
        num_steps (int): Steps in which the learning rate of :math:`W` falls to 0; the share of
            them that the options' warm-up takes of the epochs comes before the fall.
    """

    def __init__(
        self,
        fabric: Fabric,
        model: BaselineClassifier,
        objective: Objective,
        options: TrainOptions,
        num_steps: int,
    ) -> None:
        self.fabric = fabric
        self.model = model
        self.objective = objective
        self.joint = options.descent == "joint"
        self.agfn = model.agfn if isinstance(model, AGFNClassifier) else None

        learns_graph = self.agfn is not None and isinstance(self.agfn.edges, PoissonEdges)
        self.graph = list(self.agfn.edges.parameters()) if self.agfn and learns_graph else []
        of_graph = {id(parameter) for parameter in self.graph}
        self.weights = [p for p in model.parameters() if id(p) not in of_graph]
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

    def step(
        self, images: Tensor, labels: Tensor, index: Tensor, epoch: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        """One mini-batch, as :class:`Batches` yields it, in an epoch from 1.

        Returns the loss, logits and targets before the update of :math:`W`. With S draws of the
        graph there are S logits and targets to an image, draw after draw.
        """
        learn_graph = bool(self.graph) and self.agfn is not None and self.objective.use_graph
        if learn_graph and not (self.joint or self.objective.one_pass):
            with self.fabric.autocast():
                features = self.model.features(images)
                held = self.objective.of_features(self.model, features.detach(), labels)[0]
            self._descend(held, self.graph, self.optimizers[1:])
            with self.fabric.autocast():
                loss, logits, targets = self.objective.of_features(self.model, features, labels)
            self._descend(loss, self.weights, self.optimizers[:1])
        else:
            with self.fabric.autocast():
                loss, logits, targets = self.objective(self.model, images, labels, index, epoch)
            if learn_graph and self.objective.graph_loss is not None:
                self._descend(self.objective.graph_loss, self.graph, self.optimizers[1:])
                learn_graph = False
            group = self.weights + self.graph if learn_graph else self.weights
            self._descend(loss, group, self.optimizers if learn_graph else self.optimizers[:1])
        self.scaler.update()
        self.schedule.step()
        return loss.detach(), logits.detach(), targets

    def _descend(
        self, loss: Tensor, parameters: list[nn.Parameter], optimizers: list[torch.optim.Optimizer]
    ) -> None:
        # `inputs` stops the backward pass at the parameters whose turn it is. With two passes a
        # step for two groups DistributedDataParallel cannot work, so this averages by itself.
        self.fabric.backward(self.scaler.scale(loss), inputs=parameters)
        average_gradients(parameters)
        for optimizer in optimizers:
            self.scaler.step(optimizer)
            optimizer.zero_grad()
