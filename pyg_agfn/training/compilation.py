"""Backbones that torch.compile makes faster, for the time of a training step."""

import importlib.util
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType
from typing import Any

import torch
from torch import nn

from pyg_agfn.distributed import world_size
from pyg_agfn.errors import InputError
from pyg_agfn.methods.method import Method
from pyg_agfn.training.options import TrainOptions

#: What compiles.
BACKEND = "inductor"
#: Fewest steps of a run that ``auto`` compiles for: the compiler takes about a minute, in which a
#: GPU takes thousands of them.
FEWEST_STEPS = 2000


def compile_backbones(
    method: Method, options: TrainOptions, device: torch.device, num_steps: int
) -> AbstractContextManager[object]:
    """The context of a step, in which the backbones of a method's models are compiled, or not.

    Args:
        method: Set up; the backbones are those of its model and of what it makes of it.
        options: Whether to compile; ``auto`` does on a GPU that Triton knows, for a run of
            :data:`FEWEST_STEPS` or more.
        device: Where the models are.
        num_steps: Of the whole run, so that a resumed one is compiled as it was.
    """
    if not _is_asked_for(method, options, device, num_steps):
        return nullcontext()
    backbones = {id(m.backbone): m.backbone for m in (method.model, method.inference_model())}
    return CompiledBackbones(list(backbones.values()), device)


def _is_asked_for(
    method: Method, options: TrainOptions, device: torch.device, num_steps: int
) -> bool:
    if options.compile == "off" or not method.compiles or world_size() > 1:
        return False
    if options.compile == "on":
        return True
    if num_steps < FEWEST_STEPS:
        return False
    if device.type != "cuda" or importlib.util.find_spec("triton") is None:
        return False
    return torch.cuda.get_device_capability(device) >= (7, 0)


class CompiledBackbones:
    """Compiles modules while the context lasts; outside of it they are as they were.

    So the names of weights, copies and files know nothing of it, and neither does a measurement,
    whose batches are of other sizes. On a GPU a pass is one CUDA graph: what a backbone returned
    in one step must not be used in the next one.

    Args:
        modules: They are called in the context, with inputs of few different shapes.
        device: Where they are.

    Raises:
        InputError: On leaving the context, if the compiler is missing or fails.
    """

    def __init__(self, modules: list[nn.Module], device: torch.device) -> None:
        settings: dict[str, Any] = {"backend": BACKEND, "dynamic": False}
        self.on_gpu = device.type == "cuda"
        if self.on_gpu:
            settings["mode"] = "reduce-overhead"
        # As Module.compile() does, which cannot be undone.
        self.calls = [(module, torch.compile(module._call_impl, **settings)) for module in modules]

    def __enter__(self) -> None:
        if self.on_gpu:
            torch.compiler.cudagraph_mark_step_begin()
        for module, call in self.calls:
            module._compiled_call_impl = call

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for module, _ in self.calls:
            module._compiled_call_impl = None
        if error is not None and isinstance(error, torch._dynamo.exc.TorchDynamoException):
            reason = str(getattr(error, "inner_exception", error))
            said = next((line for line in reason.splitlines() if line.strip()), "no reason")
            raise InputError(
                f"--compile: the backbone cannot be compiled here ({said.strip()[:200]}): use "
                "--compile off"
            ) from error
