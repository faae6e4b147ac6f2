"""Images a second of our input, of the usual pipeline, and of training.

    .venv/bin/python benchmarks/data_feed.py --root DATA

FERPlus at 48x48 with augmentation, batches of 256. All pipelines run in turn in one process;
figures are medians. "usual" is what most code for facial expressions does: a DataLoader whose
workers open each file with PIL and transform it by torchvision, one by one (crop of the padded
image, flip, rotation, erasing).
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import torch
from lightning.fabric import Fabric
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

from pyg_agfn.datasets import FERPlus, ImageDataset
from pyg_agfn.datasets.batches import Batches
from pyg_agfn.datasets.image_batch import ImageBatch
from pyg_agfn.methods import TrainingBatch
from pyg_agfn.runs.model_config import ModelConfig
from pyg_agfn.training import TrainOptions
from pyg_agfn.training.coordinate_descent import CoordinateDescent
from pyg_agfn.training.fit import make_method


class Usual(Dataset[tuple[Tensor, int]]):
    """Opens and augments one file at a time."""

    def __init__(self, root: Path, data: FERPlus) -> None:
        self.files = [root / name for name in data.names]
        self.labels = data.labels.tolist()
        self.transform = v2.Compose(
            [
                v2.Pad(5, padding_mode="edge"),
                v2.RandomCrop(48),
                v2.RandomHorizontalFlip(),
                v2.RandomRotation(10, v2.InterpolationMode.BILINEAR),
                v2.ToImage(),
                v2.ToDtype(torch.float32, scale=True),
                v2.Normalize([0.5], [0.5]),
                v2.RandomErasing(0.5, (0.02, 0.2), (0.37, 2.7)),
            ]
        )

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        with Image.open(self.files[index]) as image:
            return self.transform(image.convert("L")), self.labels[index]


def main() -> None:
    """Prints a Markdown table of images a second."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="bf16-mixed")
    parser.add_argument("--workers", type=int, default=2, help="of the usual pipeline")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    fabric = Fabric(accelerator=arguments.device, devices=1, precision=arguments.precision)
    data = FERPlus(arguments.root, "train", image_size=48)

    batches = Batches(data, 256, fabric.device, shuffle=True, augmented=True)
    ready = next(iter(batches))
    loader = DataLoader(Usual(arguments.root, data), 256, shuffle=True, drop_last=True)
    workers = DataLoader(
        Usual(arguments.root, data), 256, True, num_workers=arguments.workers, drop_last=True
    )
    step = make_step(fabric, data)
    sides: dict[str, Callable[[], Iterator[Any]]] = {
        "ours, input alone": lambda: iter(batches),
        "usual, input alone, no workers": lambda: iter(loader),
        f"usual, input alone, {arguments.workers} workers": lambda: iter(workers),
        "training, one batch that is ready": lambda: trained(step, repeat(ready)),
        "training on ours": lambda: trained(step, batches),
    }
    rates = measure(sides, arguments.steps, arguments.rounds, fabric.device)
    base = rates["training, one batch that is ready"]
    print("| | images/s | to training |\n|---|---|---|")
    for name, rate in rates.items():
        print(f"| {name} | {rate:,.0f} | {rate / base:.2f} |")


def make_step(fabric: Fabric, data: ImageDataset, backbone: str = "resnet18") -> Callable[..., Any]:
    """The training step of AGFN, with the graph, as in a run."""
    model = ModelConfig("agfn", backbone, data.classes, 1, 48, 48).build()
    model.to(device=fabric.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    options = TrainOptions(method=("agfn",), pretrain_epochs=0)
    method = make_method(options)
    method.setup(model, len(data))
    return CoordinateDescent(fabric, model, method, options, 10_000).step


def repeat(batch: Any) -> Iterator[Any]:
    """Yields the same batch without end."""
    while True:
        yield batch


def trained(step: Callable[..., Any], batches: Iterable[ImageBatch]) -> Iterator[Any]:
    """Takes a step for each batch, and yields after it."""
    for batch in batches:
        yield step(TrainingBatch(batch.images, batch.labels, batch.index, batch.views))


def measure(
    sides: dict[str, Callable[[], Iterator[Any]]],
    steps: int,
    rounds: int,
    device: torch.device,
    batch_size: int = 256,
) -> dict[str, float]:
    """Median images a second. The first batch of each pass is not counted."""
    rates: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, side in sides.items():
            passing = side()
            next(passing)
            if device.type == "cuda":
                torch.cuda.synchronize()
            start = time.perf_counter()
            for _ in range(steps):
                next(passing)
            if device.type == "cuda":
                torch.cuda.synchronize()
            rates[name].append(batch_size * steps / (time.perf_counter() - start))
            del passing
    return {name: statistics.median(values) for name, values in rates.items()}


if __name__ == "__main__":
    main()
