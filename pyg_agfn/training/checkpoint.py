"""Checkpoints of a run that is not finished: whole or not there, and never unpickled."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor

from pyg_agfn.datasets.image_batch import ImageBatches
from pyg_agfn.errors import InputError
from pyg_agfn.methods.method import Method, StepOutput, TrainingBatch
from pyg_agfn.nn import BaselineClassifier
from pyg_agfn.runs.files import (
    TensorSpec,
    read_header,
    read_tensors,
    spec_of,
    tensor_file_error,
    write_tensors,
)
from pyg_agfn.training.checkpoint_schema import (
    check_progress,
    parameters_of,
    restore_scaler,
    restore_schedule,
    settings_with_rates,
)
from pyg_agfn.training.coordinate_descent import CoordinateDescent
from pyg_agfn.training.data import TrainingData
from pyg_agfn.training.training_dynamics import TrainingDynamics
from pyg_agfn.training.weight_averaging import WeightAverage

FILE = "checkpoint.safetensors"

Epoch = dict[str, Any]

#: What each optimizer keeps of a parameter, all but the count of steps shaped like it.
OPTIMIZER_STATE: dict[type[torch.optim.Optimizer], tuple[str, ...]] = {
    torch.optim.SGD: ("momentum_buffer",),
    torch.optim.Adam: ("exp_avg", "exp_avg_sq", "step"),
    torch.optim.AdamW: ("exp_avg", "exp_avg_sq", "step"),
}
#: The state of a GPU's generator: seed and offset.
CUDA_GENERATOR = TensorSpec("U8", (16,))


@dataclass
class TrainingState:
    """All that decides how a run is resumed.

    Attributes:
        model: With the graph's parameters.
        descent: Optimizers and schedule.
        method: What it keeps from step to step.
        batches: Order and augmentation, and which batches of the pass are done.
        dynamics: What the network said of each label so far.
        totals: Of the epoch, on the device: steps, sum of their losses, right answers, answers.
        epoch: Being trained, from 1.
        seconds: What the epoch took so far.
        history: What the epochs before it measured.
        best: The weights after the best epoch, where that one is kept; else empty.
        average: Of the weights, where one is measured and kept.
    """

    model: BaselineClassifier
    descent: CoordinateDescent
    method: Method
    batches: ImageBatches
    dynamics: TrainingDynamics
    totals: dict[str, Tensor] = field(default_factory=dict)
    epoch: int = 1
    seconds: float = 0.0
    history: list[Epoch] = field(default_factory=list)
    best: dict[str, Tensor] = field(default_factory=dict)
    average: WeightAverage | None = None

    def inference_model(self) -> BaselineClassifier:
        """What is measured and kept: the method's own, or the average of the weights."""
        return self.method.inference_model() if self.average is None else self.average.model

    def begin_epoch(self, epoch: int) -> None:
        """Sets what is counted by epoch to zero."""
        device = self.batches.device
        self.epoch, self.seconds = epoch, 0.0
        self.totals = {
            "loss": torch.zeros((), device=device),
            **{
                name: torch.zeros((), dtype=torch.long, device=device)
                for name in ("steps", "correct", "answers")
            },
        }

    def count(self, batch: TrainingBatch, out: StepOutput) -> None:
        """Adds a step to the totals, without waiting for the device."""
        self.dynamics.add(batch, out)
        self.totals["steps"] += 1
        self.totals["loss"] += out.loss
        self.totals["correct"] += (out.logits.argmax(1) == out.targets).sum()
        self.totals["answers"] += len(out.targets)

    @property
    def epochs(self) -> int:
        """That the schedule is made for."""
        return self.descent.num_steps // len(self.batches)

    @property
    def loss(self) -> float:
        """Mean over the epoch's steps so far; 0 before the first."""
        return float(self.totals["loss"]) / max(1, int(self.totals["steps"]))

    @property
    def accuracy(self) -> float:
        """Share of the epoch's answers that were right."""
        return float(self.totals["correct"]) / max(1, int(self.totals["answers"]))


def save_checkpoint(path: Path, state: TrainingState, train: TrainingData) -> None:
    """Writes a checkpoint, whole or not at all: the one before it is there until this one is.

    Raises:
        InputError: It cannot be written.
    """
    tensors = _tensors(state)
    facts = {
        "epoch": state.epoch,
        "done": state.batches.done,
        "seconds": state.seconds,
        "history": state.history,
        "optimizers": [_settings(optimizer) for optimizer in state.descent.optimizers],
        "schedule": state.descent.schedule.state_dict(),
        "scaler": state.descent.scaler.state_dict(),
        "data": train.fingerprint(),
    }
    write_tensors(path, tensors, {"state": json.dumps(facts)})


def load_checkpoint(path: Path, state: TrainingState, train: TrainingData) -> None:
    """Puts everything back to where :func:`save_checkpoint` was called.

    Raises:
        InputError: The file is broken, or of another run or other training images.
    """
    try:
        found = read_header(path)
        with safe_open(path, framework="pt") as file:
            facts = json.loads(file.metadata()["state"])
        if facts["data"] != train.fingerprint():
            raise InputError(
                f"{path}: the training images or labels are not those that the run began "
                "with; give them back, or begin a new run"
            )
        check_progress(facts, state.epochs, len(state.batches))
        tensors = read_tensors(path, _expected(state, found))
        _restore(state, tensors, facts)
    except InputError:
        raise
    except Exception as error:  # whatever a file that is none of ours leads to
        raise tensor_file_error(path, error) from None


def _tensors(state: TrainingState) -> dict[str, Tensor]:
    tensors = {f"model.{name}": tensor for name, tensor in state.model.state_dict().items()}
    for number, optimizer in enumerate(state.descent.optimizers):
        for index, values in optimizer.state_dict()["state"].items():
            for name, value in values.items():
                if isinstance(value, Tensor):
                    tensors[f"optimizer.{number}.{index}.{name}"] = value
    parts = {
        "objective": state.method.state_dict(),
        "best": state.best,
        "average": {} if state.average is None else state.average.state_dict(),
        "batches": state.batches.state_dict(),
        "totals": state.totals,
        "dynamics": state.dynamics.state_dict(),
        "generator": {"cpu": torch.get_rng_state()},
    }
    if state.batches.device.type == "cuda":
        parts["generator"]["cuda"] = torch.cuda.get_rng_state(state.batches.device)
    for part, content in parts.items():
        tensors.update({f"{part}.{name}": tensor for name, tensor in content.items()})
    return tensors


def _expected(state: TrainingState, found: dict[str, TensorSpec]) -> dict[str, TensorSpec]:
    """The tensors of a checkpoint of this run, of which some are there only once it has begun."""
    expected = {name: spec_of(tensor) for name, tensor in _tensors(state).items()}
    # A run may be resumed on another kind of device than it began on.
    expected.pop("generator.cuda", None)
    if "generator.cuda" in found:
        expected["generator.cuda"] = CUDA_GENERATOR
    if not any(name.startswith("dynamics.") for name in found):  # by an older version
        expected = {k: v for k, v in expected.items() if not k.startswith("dynamics.")}
    if any(name.startswith("best.") for name in found):
        best = state.inference_model().state_dict()
        expected |= {f"best.{name}": spec_of(tensor) for name, tensor in best.items()}
    for number, optimizer in enumerate(state.descent.optimizers):
        for index, parameter in enumerate(parameters_of(optimizer)):
            for kept in OPTIMIZER_STATE[type(optimizer)]:
                name = f"optimizer.{number}.{index}.{kept}"
                if name in found:
                    expected[name] = TensorSpec("F32", ()) if kept == "step" else spec_of(parameter)
    return expected


def _restore(state: TrainingState, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
    def part(name: str) -> dict[str, Tensor]:
        return {
            key.removeprefix(f"{name}."): tensor
            for key, tensor in tensors.items()
            if key.startswith(f"{name}.")
        }

    device = state.batches.device
    state.model.load_state_dict(part("model"))
    optimizers = state.descent.optimizers
    for number, (optimizer, saved) in enumerate(zip(optimizers, facts["optimizers"], strict=True)):
        values: dict[int, dict[str, Tensor]] = {}
        parameters = parameters_of(optimizer)
        for key, tensor in part(f"optimizer.{number}").items():
            index, name = key.split(".", 1)
            if name != "step":  # in the parameter's memory format: the file has none
                tensor = torch.empty_like(parameters[int(index)]).copy_(tensor)
            values.setdefault(int(index), {})[name] = tensor
        groups = settings_with_rates(optimizer, saved)
        optimizer.load_state_dict({"state": values, "param_groups": groups})
    steps = (facts["epoch"] - 1) * len(state.batches) + facts["done"]
    restore_schedule(state.descent.schedule, facts["schedule"], steps)
    restore_scaler(state.descent.scaler, facts.get("scaler", {}))
    state.method.load_state_dict(part("objective"))
    state.dynamics.load_state_dict(part("dynamics"))
    state.best = part("best")
    if state.average is not None:
        state.average.load_state_dict(part("average"))
    state.batches.load_state_dict(part("batches"), facts["done"])
    state.totals = {name: tensor.to(device) for name, tensor in part("totals").items()}
    state.epoch, state.seconds, state.history = facts["epoch"], facts["seconds"], facts["history"]
    generators = part("generator")
    torch.set_rng_state(generators["cpu"])
    if "cuda" in generators and device.type == "cuda":
        torch.cuda.set_rng_state(generators["cuda"], device)


def _settings(optimizer: torch.optim.Optimizer) -> list[dict[str, Any]]:
    groups: list[dict[str, Any]] = optimizer.state_dict()["param_groups"]
    return groups
