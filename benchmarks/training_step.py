"""What a training step costs with AGFN: baseline, joint and alternate descent, S = 1 and 4.

ResNet-18 at 48x48, batches of 256, bf16. All sides in turn in one run, medians and their ratio:

    .venv/bin/python benchmarks/training_step.py
"""

import statistics
import time

import torch
from lightning.fabric import Fabric

from pyg_agfn.rivals import make_objective
from pyg_agfn.run_folder import ModelCard
from pyg_agfn.training import TrainOptions
from pyg_agfn.training.coordinate_descent import CoordinateDescent
from pyg_agfn.training.losses import LOSSES

STEPS = 12
SIDES = {
    "baseline": ("baseline", "alternate", 1),
    "agfn, joint, S = 1": ("agfn", "joint", 1),
    "agfn, joint, S = 4": ("agfn", "joint", 4),
    "agfn, alternate, S = 1": ("agfn", "alternate", 1),
    "agfn, alternate, S = 4": ("agfn", "alternate", 4),
}


def main() -> None:
    """Prints the medians and their ratios to the baseline's."""
    images = torch.randn(256, 1, 48, 48).to(memory_format=torch.channels_last)
    labels, index = torch.randint(0, 8, (256,)), torch.arange(256)
    descents = {}
    for name, (method, descent, samples) in SIDES.items():
        card = ModelCard(method, "resnet18", tuple("abcdefgh"), 1, 48, 48, samples=samples)  # type: ignore[arg-type]
        model = card.build()
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        fabric = Fabric(accelerator="cpu", devices=1, precision="bf16-mixed")
        options = TrainOptions(descent=descent)  # type: ignore[arg-type]
        objective = make_objective(method, LOSSES[options.loss])
        descents[name] = CoordinateDescent(fabric, model, objective, options, STEPS + 2)
    seconds: dict[str, list[float]] = {name: [] for name in SIDES}
    for step in range(STEPS + 2):
        for name, side in descents.items():
            start = time.perf_counter()
            side.step(images, labels, index, epoch=1)
            if step >= 2:  # the first ones set up the kernels
                seconds[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    for name, median in medians.items():
        print(f"{name:24} {1000 * median:6.0f} ms a step  {median / medians['baseline']:.2f}")


if __name__ == "__main__":
    main()
