"""All figures of a GPU in one process, beside their goals; ``benchmarks/gpu.sh`` runs it.

    .venv/bin/python benchmarks/gpu.py
    .venv/bin/python benchmarks/gpu.py --quick --device cpu    # tries the script, in small sizes

A part that fails is a row, and the others are measured. Prints a Markdown table.
"""

import argparse
from collections.abc import Callable, Iterator

import bank
import data_feed
import large_graphs
import layer
import numpy as np
import torch
import training_step
from lightning.fabric import Fabric

from pyg_agfn.datasets import ImageDataset
from pyg_agfn.datasets.batches import Batches
from pyg_agfn.nn import AGFNClassifier

#: What was measured, its figure, and its goal.
Row = tuple[str, str, str]
PRECISION = "bf16-mixed"


def main() -> None:
    """Prints the table, row by row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--backbone", default="resnet18-small")
    parser.add_argument("--quick", action="store_true", help="small sizes")
    given = parser.parse_args()
    device = torch.device(given.device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    print(f"{name}, torch {torch.__version__}, {given.backbone}, {PRECISION}\n")
    print("| | measured | goal |\n|---|---|---|")
    for part in (steps, layers, graphs, banks, feed):
        try:
            for row in part(device, given.backbone, given.quick):
                print("| " + " | ".join(row) + " |", flush=True)
        except Exception as error:
            reason = (str(error).splitlines() or [""])[0]
            print(f"| {part.__name__} | failed: {type(error).__name__}: {reason[:200]} | |")


def steps(device: torch.device, backbone: str, quick: bool) -> Iterator[Row]:
    """Training steps of each method, eager and compiled."""
    size, count = (16, 2) if quick else (256, 60)
    goals = {"agfn, alternate, S = 1": "1.10", "agfn-nlc": "1.45"}
    for compiled in ("off",) if quick else ("off", "on"):
        fabric = Fabric(accelerator=device.type, devices=1, precision=PRECISION)
        found = training_step.measure(fabric, count, backbone, compiled, size)
        base = found["baseline"]
        for name, seconds in found.items():
            rate = f"{1000 * seconds:.2f} ms, {size / seconds:,.0f} images/s"
            goal = "30,000 images/s" if name == "baseline" else goals.get(name, "")
            yield f"step, --compile {compiled}: {name}", f"{rate}, {seconds / base:.2f}", goal


def layers(device: torch.device, backbone: str, quick: bool) -> Iterator[Row]:
    """The layer with S = 4, to its products."""
    found = layer.measure(4, device, 2 if quick else 20, compiled=not quick)
    ours = found["AGFN, dense"]
    goals = {"products": "2.0", "DenseGCNConv": "3", "all pairs, GCNConv": "10"}
    for name, seconds in found.items():
        ratio = f"AGFN takes {ours / seconds:.2f} of it" if name == "products" else ""
        ratio = ratio or f"{seconds / ours:.2f} of AGFN's"
        yield f"layer: {name}", f"{1000 * seconds:.2f} ms, {ratio}", goals.get(name, "")


def graphs(device: torch.device, backbone: str, quick: bool) -> Iterator[Row]:
    """Graphs of many nodes, forward and backward."""
    for nodes in (512,) if quick else (16_384, 65_536):
        for way in ("product", "tiles"):
            found = large_graphs.measure(way, nodes, device)
            figure = f"{found['seconds']:.2f} s, {found['mebibytes'] / 1024:.2f} GiB"
            goal = "3 s, 8 GiB" if (way, nodes) == ("tiles", 65_536) else ""
            yield f"{nodes:,} nodes: {way}", figure, goal


def banks(device: torch.device, backbone: str, quick: bool) -> Iterator[Row]:
    """Classifying, by a linear classifier and by banks."""
    model = AGFNClassifier(backbone, 8, 1).to(device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
    found = bank.measure_speed(model, (1, 48, 48), *((16, 2) if quick else ()))
    base = found["plain baseline"]
    for name, seconds in found.items():
        yield f"classifying a batch: {name}", f"{1000 * seconds:.2f} ms, {seconds / base:.2f}", ""


def feed(device: torch.device, backbone: str, quick: bool) -> Iterator[Row]:
    """Images a second of the input, and of training on it."""
    images, size, count = (64, 16, 2) if quick else (28_385, 256, 30)
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (images, 1, 48, 48), dtype=np.uint8)
    labels, names = np.arange(images) % 8, [f"{i}.png" for i in range(images)]
    data = ImageDataset(pixels, labels, list("abcdefgh"), names)
    batches = Batches(data, size, device, shuffle=True, augmented=True)
    ready = next(iter(batches))
    step = data_feed.make_step(
        Fabric(accelerator=device.type, devices=1, precision=PRECISION), data
    )
    sides: dict[str, Callable[[], Iterator[object]]] = {
        "input alone": lambda: iter(batches),
        "training, one batch that is ready": lambda: data_feed.trained(
            step, data_feed.repeat(ready)
        ),
        "training on the input": lambda: data_feed.trained(step, batches),
    }
    found = data_feed.measure(sides, count, 1 if quick else 3, device, size)
    base = found["training, one batch that is ready"]
    for name, rate in found.items():
        goal = "0.80" if name == "training on the input" else ""
        yield f"data: {name}", f"{rate:,.0f} images/s, {rate / base:.2f}", goal


if __name__ == "__main__":
    main()
