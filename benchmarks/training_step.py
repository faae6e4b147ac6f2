"""What a training step costs with AGFN: baseline, joint and alternate descent, S = 1 and 4.

ResNet-18 at 48x48, batches of 256. All sides in turn in one run, medians and their ratio:

    .venv/bin/python benchmarks/training_step.py
    .venv/bin/python benchmarks/training_step.py --precision 32-true    # a CPU without bf16
"""

import argparse
import statistics
import time

import torch
from lightning.fabric import Fabric

from pyg_agfn.rivals import make_objective
from pyg_agfn.run_folder import ModelCard
from pyg_agfn.training import TrainOptions
from pyg_agfn.training.coordinate_descent import CoordinateDescent
from pyg_agfn.training.losses import LOSSES

SIDES = {
    "baseline": ("baseline", "alternate", 1),
    "agfn, joint, S = 1": ("agfn", "joint", 1),
    "agfn, joint, S = 4": ("agfn", "joint", 4),
    "agfn, alternate, S = 1": ("agfn", "alternate", 1),
    "agfn, alternate, S = 4": ("agfn", "alternate", 4),
}


def main() -> None:
    """Prints the medians and their ratios to the baseline's."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--precision", default="bf16-mixed")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--steps", type=int, default=12)
    arguments = parser.parse_args()
    fabric = Fabric(accelerator=arguments.device, devices=1, precision=arguments.precision)
    images = torch.randn(256, 1, 48, 48, device=fabric.device)
    images = images.to(memory_format=torch.channels_last)
    labels = torch.randint(0, 8, (256,), device=fabric.device)
    index = torch.arange(256, device=fabric.device)
    descents = {}
    for name, (method, descent, samples) in SIDES.items():
        card = ModelCard(method, "resnet18", tuple("abcdefgh"), 1, 48, 48, samples=samples)  # type: ignore[arg-type]
        model = card.build()
        model.to(device=fabric.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        options = TrainOptions(descent=descent)  # type: ignore[arg-type]
        objective = make_objective(method, LOSSES[options.loss])
        objective.begin(model, len(images))
        descents[name] = CoordinateDescent(fabric, model, objective, options, 10_000)
    seconds: dict[str, list[float]] = {name: [] for name in SIDES}
    for step in range(arguments.steps + 2):
        for name, side in descents.items():
            start = time.perf_counter()
            side.step(images, labels, index, epoch=1)
            if fabric.device.type == "cuda":
                torch.cuda.synchronize()
            if step >= 2:  # the first ones set up the kernels
                seconds[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    print("| step | ms | to the baseline |\n|---|---|---|")
    for name, median in medians.items():
        print(f"| {name} | {1000 * median:.0f} | {median / medians['baseline']:.3f} |")


if __name__ == "__main__":
    main()
