"""A CPU training step of ResNet-18, with torchvision's last two stages and with ours.

Both networks take steps in turn in one process. The figure is the ratio of their medians:

    .venv/bin/python benchmarks/backbone.py
    .venv/bin/python benchmarks/backbone.py --precision fp32              # a CPU without bf16
    .venv/bin/python benchmarks/backbone.py --precision fp32 --side 28    # MNIST's size
"""

import argparse
import statistics
import time

import torch
import torch.nn.functional as F
from torch import nn

from pyg_agfn.nn.resnets import resnet

BATCH = 256


def plain_resnet() -> nn.Module:
    """The same network, with PyTorch's convolution everywhere."""
    model = resnet("resnet18", in_channels=1)
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            module.__class__ = nn.Conv2d
    return model


def main() -> None:
    """Prints the medians and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--precision", choices=("bf16", "fp32"), default="bf16")
    parser.add_argument("--side", type=int, default=48, help="pixels a side")
    parser.add_argument("--steps", type=int, default=15)
    arguments = parser.parse_args()
    images = torch.randn(BATCH, 1, arguments.side, arguments.side)
    images = images.to(memory_format=torch.channels_last)
    labels = torch.randint(0, 512, (BATCH,))
    sides = {"torchvision": plain_resnet(), "pyg_agfn": resnet("resnet18", in_channels=1)}
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for model in sides.values():
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    for step in range(arguments.steps + 2):
        for name, model in sides.items():
            start = time.perf_counter()
            with torch.autocast("cpu", torch.bfloat16, arguments.precision == "bf16"):
                loss = F.cross_entropy(model(images), labels)
            model.zero_grad()
            loss.backward()
            if step >= 2:  # the first two set up the kernels
                seconds[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    for name, median in medians.items():
        print(f"{name:12} {1000 * median:6.0f} ms a step")
    print(f"{'ratio':12} {medians['torchvision'] / medians['pyg_agfn']:6.2f}")


if __name__ == "__main__":
    main()
