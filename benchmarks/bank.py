"""Accuracy of reference banks by size, members and scaling, and the time to classify an image.

    .venv/bin/python benchmarks/bank.py --root DATA RUN [RUN ...]

Prints Markdown tables. Speed is the ratio of medians to the same backbone with a linear classifier.
Both run in turn in one process.
"""

import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch

from pyg_agfn.cli import OneLineParser, run_script
from pyg_agfn.datasets.batches import Batches
from pyg_agfn.evaluation import Bank, Shuffled, Single, evaluate, extract_features
from pyg_agfn.nn import AGFNClassifier, BaselineClassifier, ReferenceBank, choose_references
from pyg_agfn.runs.folder import Run, load_run
from pyg_agfn.training import load_datasets, make_fabric, parse_options

SIZES = (255, 1024, 4096)
CHOICES = ("random", "class-balanced", "low-loss", "agreement")
SEEDS = (0, 1, 2)


def accuracy_table(run: Run, root: str, device: str) -> None:
    """Prints a row for each choice of members and scaling, a column for each size."""
    options = parse_options(
        ["--config", str(run.folder / "config.json"), "--root", root, "--device", device]
    )
    fabric = make_fabric(options)
    train, test = load_datasets(options)
    model = run.model.to(fabric.device)
    assert isinstance(model, AGFNClassifier)
    of_train, of_test = (
        extract_features(model, Batches(part, 256, fabric.device), fabric.autocast())
        for part in (train, test)
    )
    batch = run.config.batch_size
    shuffled = evaluate(Shuffled(batch), model, of_test, test.labels).mean
    single = evaluate(Single(), model, of_test, test.labels).mean
    print(
        f"\n{run.folder.name}: shuffled batches {100 * shuffled:.2f}, single {100 * single:.2f}\n"
    )
    print("| members | s | " + " | ".join(f"M = {size}" for size in SIZES) + " |")
    print("|---|---|" + "---|" * len(SIZES))
    scalings = {"(N - 1) / M": batch, "1": None}
    for choice in CHOICES:
        seeds = SEEDS if choice in ("random", "class-balanced") else SEEDS[:1]
        cells: dict[str, list[str]] = {name: [] for name in scalings}
        for size in SIZES:
            members = [
                choose_references(model, of_train, train.labels, size, choice, seed)
                for seed in seeds
            ]
            for name, scaling in scalings.items():
                found = []
                for chosen in members:
                    bank = ReferenceBank.from_features(model.agfn, of_train[chosen], scaling)
                    found.append(100 * evaluate(Bank(bank), model, of_test, test.labels).mean)
                spread = f" ± {statistics.stdev(found):.2f}" if len(found) > 1 else ""
                cells[name].append(f"{statistics.mean(found):.2f}{spread}")
        for name, values in cells.items():
            print(f"| {choice} | {name} | " + " | ".join(values) + " |", flush=True)


def speed_table(run: Run, device: torch.device, batch_size: int = 256) -> None:
    """Prints milliseconds an image, backbone included."""
    model, config = run.model.to(device), run.config
    assert isinstance(model, AGFNClassifier)
    shape = config.channels, config.height, config.width
    medians = measure_speed(model, shape, batch_size)
    print(f"\n{run.folder.name}, batches of {batch_size}, fp32, {torch.get_num_threads()} threads")
    print("\n| | ms an image | ratio |\n|---|---|---|")
    for name, median in medians.items():
        ratio = median / medians["plain baseline"]
        print(f"| {name} | {1000 * median / batch_size:.4f} | {ratio:.2f} |")


@torch.no_grad()
def measure_speed(
    model: AGFNClassifier, shape: tuple[int, int, int], batch_size: int = 256, repeats: int = 15
) -> dict[str, float]:
    """The median seconds of a batch by a linear classifier, and by banks of two sizes."""
    device = next(model.parameters()).device
    images = torch.randn(batch_size, *shape, device=device)
    images = images.to(memory_format=torch.channels_last)
    classes, dim = model.classifier.out_features, model.agfn.hidden_channels
    plain = BaselineClassifier(model.backbone, classes, num_features=model.num_features)
    plain.to(device).eval()
    sides: dict[str, Callable[[], torch.Tensor]] = {"plain baseline": lambda: plain(images)}
    for size in (255, 4096):
        bank = ReferenceBank(model.agfn, torch.randn(size, dim, device=device), batch_size)
        sides[f"bank, M = {size}"] = lambda bank=bank: model.classifier(
            bank(model.features(images))
        )  # type: ignore[misc]
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for repeat in range(repeats + 2):
        for name, side in sides.items():
            start = time.perf_counter()
            side()
            if device.type == "cuda":
                torch.cuda.synchronize()
            if repeat >= 2:
                seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}


def main() -> int:
    """Prints the tables of each run; returns the exit code."""
    parser = OneLineParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--root", required=True)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--only", choices=("speed", "accuracy"))
    arguments = parser.parse_args()
    for folder in arguments.runs:
        run = load_run(folder)
        if arguments.only != "accuracy":
            speed_table(run, torch.device(arguments.device))
        if arguments.only != "speed":
            accuracy_table(run, arguments.root, arguments.device)
    return 0


if __name__ == "__main__":
    run_script("bank.py", main)
