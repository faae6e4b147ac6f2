"""Coordinate descent: a step of α and β with W held, and one of W with these held (Section 3.3)."""

import warnings
from typing import Any

import torch
from lightning.fabric import Fabric
from torch import Tensor, nn

from pyg_agfn.distributed import average_gradients
from pyg_agfn.errors import InputError
from pyg_agfn.methods.method import Method, StepOutput, TrainingBatch
from pyg_agfn.nn import AGFNClassifier, BaselineClassifier
from pyg_agfn.training.compilation import compile_backbones
from pyg_agfn.training.options import TrainOptions
from pyg_agfn.training.schedule import make_schedule
from pyg_agfn.transforms import PoissonEdges


def make_optimizer(
    kind: str, groups: list[dict[str, Any]], lr: float, device: torch.device, **settings: Any
) -> torch.optim.Optimizer:
    """An optimizer by its name; Adam's and AdamW's betas are PyTorch's.

    On a GPU a step of all weights is one kernel. That of SGD is left to PyTorch, which takes one
    for each operation: its single kernel moves the momentum in steps that ``float16`` leaves out,
    and has none for weights that begin to move later than others.
    """
    if kind == "sgd":
        return torch.optim.SGD(groups, lr, **settings)
    adam = torch.optim.AdamW if kind == "adamw" else torch.optim.Adam
    return adam(groups, lr, fused=True if device.type == "cuda" else None, **settings)


class CoordinateDescent:
    r"""Updates the two groups of a model's parameters, each with its own optimizer.

    As the paper takes the groups as independent (Section 3.3), both gradients are of the weights
    before the step: that of :math:`\alpha, \beta` by Eq. 11 and 14, that of :math:`W` by Eq. 9 and
    10. Each group descends its own loss of :class:`~pyg_agfn.methods.StepOutput`, which are most
    often of a draw of the graph of their own. Where both are one loss, one backward pass gives both
    gradients.

    A model without :math:`\alpha` and :math:`\beta` has only the step of :math:`W`.

    The backbone is a parameter group of its own if the options give it a learning rate of its own.
    In the epochs of the options' ``freeze_epochs`` it takes no part in the step of :math:`W`, and
    its batch normalization is in evaluation mode.

    The method's forward pass runs backbones that are compiled if the options say so
    (:mod:`pyg_agfn.training.compilation`).

    In ``float16`` the losses are scaled up, so that small gradients are not lost. A group whose
    scaled gradients overflow does not take its step, and the scale is halved for the next one.

    Args:
        fabric (Fabric): Device and precision.
        model (BaselineClassifier): On the device.
        method (Method): What a step minimizes, set up for the model.
        options (TrainOptions): Optimizer, learning rates and their schedule, momentum, weight
            decay.
        num_steps (int): Of the whole run, for the schedule of :math:`W`.

    Raises:
        InputError: The options treat the backbone apart, and it has nothing to learn; in a step,
            the backbone cannot be compiled.
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
        of_backbone = {id(parameter) for parameter in model.backbone.parameters()}
        self.backbone = [p for p in self.weights if id(p) in of_backbone]
        self.head = [p for p in self.weights if id(p) not in of_backbone]
        #: The weights that take the steps of the epoch.
        self.moving = self.weights
        self.freeze_epochs = options.freeze_epochs
        if not self.backbone and (options.freeze_epochs or options.lr_backbone is not None):
            flag = "--freeze-epochs" if options.freeze_epochs else "--lr-backbone"
            raise InputError(f"{flag} has no effect: no weight of the backbone is learned")
        groups: list[dict[str, Any]] = [{"params": self.weights}]
        if options.lr_backbone is not None:
            groups = [{"params": self.backbone, "lr": options.lr_backbone}, {"params": self.head}]
        settings = {"weight_decay": options.weight_decay}
        if options.optimizer == "sgd":
            settings["momentum"] = options.momentum
        device = fabric.device
        self.optimizers = [
            make_optimizer(options.optimizer, groups, options.lr, device, **settings)
        ]
        if self.graph:
            of_graph_only = [{"params": self.graph}]
            self.optimizers.append(
                make_optimizer(options.graph_optimizer, of_graph_only, options.lr_graph, device)
            )
        self.scaler = torch.amp.GradScaler(fabric.device.type, enabled=options.precision == "fp16")
        if self.scaler.is_enabled():  # the scale is found by leaving out the first steps
            warnings.filterwarnings("ignore", r"Detected call of `lr_scheduler\.step")
        self.compiled = compile_backbones(method, options, fabric.device, num_steps)
        self.num_steps = num_steps
        self.schedule = make_schedule(self.optimizers[0], options, num_steps)

    def begin_epoch(self, epoch: int) -> None:
        """Sets the model to training, but for the backbone in the epochs in which it rests."""
        frozen = epoch <= self.freeze_epochs
        self.model.train()
        self.model.backbone.train(not frozen)
        self.moving = self.head if frozen else self.weights
        for parameter in self.backbone:
            parameter.requires_grad_(not frozen)  # without its gradient a step takes less time

    def step(self, batch: TrainingBatch) -> StepOutput:
        """One mini-batch. The output is that before the update, without gradients."""
        with self.fabric.autocast(), self.compiled:
            out = self.method.training_step(batch)
        graph_loss = out.graph_loss if self.graph else None
        if graph_loss is not None and graph_loss is out.loss:
            self._backward(out.loss, self.moving + self.graph)
        else:
            if graph_loss is not None:
                self._backward(graph_loss, self.graph, retain_graph=True)
            self._backward(out.loss, self.moving)
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
