"""The time of a training step: baseline, AGFN by joint and alternate descent, and agfn-nlc.

ResNet-18 at 48x48, batches of 256. All run in turn in one process; figures are medians and ratios:

    .venv/bin/python benchmarks/training_step.py
    .venv/bin/python benchmarks/training_step.py --precision 32-true    # a CPU without bf16
    .venv/bin/python benchmarks/training_step.py --device cuda --steps 100 --compile on
"""

import argparse
import statistics
import time
from typing import Any

import torch
from lightning.fabric import Fabric

from pyg_agfn.methods import TrainingBatch
from pyg_agfn.registry import METHODS
from pyg_agfn.runs.model_config import ModelConfig
from pyg_agfn.training import TrainOptions
from pyg_agfn.training.coordinate_descent import CoordinateDescent
from pyg_agfn.training.fit import make_method

#: Method and options of each row.
SIDES: dict[str, tuple[str, dict[str, Any]]] = {
    "baseline": ("baseline", {}),
    "agfn, joint, S = 1": ("agfn", {"descent": "joint"}),
    "agfn, joint, S = 4": ("agfn", {"descent": "joint", "samples": 4}),
    "agfn, alternate, S = 1": ("agfn", {}),
    "agfn, alternate, S = 4": ("agfn", {"samples": 4}),
    "agfn-nlc": ("agfn-nlc", {}),
}

#: Steps that set up the kernels, and record CUDA graphs.
WARMUP = 4


def main() -> None:
    """Prints the medians and their ratios to the baseline's."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--precision", default="bf16-mixed")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--backbone", default="resnet18")
    parser.add_argument("--compile", choices=("off", "on"), default="off")
    arguments = parser.parse_args()
    fabric = Fabric(accelerator=arguments.device, devices=1, precision=arguments.precision)
    medians = measure(fabric, arguments.steps, arguments.backbone, arguments.compile)
    print("| step | ms | to the baseline |\n|---|---|---|")
    for name, median in medians.items():
        print(f"| {name} | {1000 * median:.1f} | {median / medians['baseline']:.3f} |")


def measure(
    fabric: Fabric, steps: int, backbone: str = "resnet18", compiled: str = "off", size: int = 256
) -> dict[str, float]:
    """The median seconds of a step of each side, which take steps in turn."""
    images = torch.randn(size, 1, 48, 48, device=fabric.device)
    images = images.to(memory_format=torch.channels_last)
    labels = torch.randint(0, 8, (size,), device=fabric.device)
    batch = TrainingBatch(images, labels, torch.arange(size), {})
    descents = {
        name: descent(fabric, method, {"backbone": backbone, "compile": compiled, **given})
        for name, (method, given) in SIDES.items()
    }
    seconds: dict[str, list[float]] = {name: [] for name in SIDES}
    for step in range(steps + WARMUP):
        for name, side in descents.items():
            synchronize(fabric.device)
            start = time.perf_counter()
            side.step(batch)
            synchronize(fabric.device)
            if step >= WARMUP:
                seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}


def synchronize(device: torch.device) -> None:
    """Waits for a GPU."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def descent(fabric: Fabric, name: str, given: dict[str, Any]) -> CoordinateDescent:
    """The steps of a method from its first weights, with the graph."""
    own = {**METHODS[name].defaults, **given}
    options = TrainOptions(method=(name,), pretrain_epochs=0, **own)
    settings = {"samples": options.samples, "alpha": options.alpha, "beta": options.beta}
    model = ModelConfig(name, options.backbone, tuple("abcdefgh"), 1, 48, 48, **settings).build()
    model.to(device=fabric.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    method = make_method(options)
    method.setup(model, 256)
    return CoordinateDescent(fabric, model, method, options, 10_000)


if __name__ == "__main__":
    main()
