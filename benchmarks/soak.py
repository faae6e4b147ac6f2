"""Trains for many steps on tiny data, and watches the memory and the open files of the process.

    .venv/bin/python benchmarks/soak.py --steps 50000

It runs the whole training loop with AGFN: the log, the evaluation after each epoch and a checkpoint
every few seconds, on 400 digits in batches of 16. The backbone is one small convolution, because
the rest of the loop is what is tested. The script prints MiB and open files by step. It fits a line
through the second half of the samples. It exits with 1 if the line rises by more than 2% of the
memory over all steps, or if files stay open. Linux only.
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from torch import Tensor, nn

from pyg_agfn.runs import model_config
from pyg_agfn.training import TrainOptions, load_datasets, train_method
from pyg_agfn.training.saver import Saver

IMAGES, BATCH = 400, 16


class Backbone(nn.Sequential):
    """8x8 pixels to 16 features."""

    num_features = 16

    def __init__(self) -> None:
        super().__init__(
            nn.Conv2d(1, 16, 3, stride=2, bias=False),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )


class Watch:
    """Samples memory and open files of this process during training, every so many steps."""

    def __init__(self, every: int) -> None:
        self.every = every
        self.steps = 0
        self.samples: list[tuple[int, float, int, float]] = []
        self.start = time.monotonic()
        self.after_step = Saver.after_step

    def __call__(self, saver: Saver, loss: Tensor, index: Tensor) -> None:
        self.after_step(saver, loss, index)
        self.steps += 1
        if self.steps % self.every:
            return
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        memory = pages * os.sysconf("SC_PAGE_SIZE") / 2**20
        files = len(os.listdir("/proc/self/fd"))
        rate = self.steps / (time.monotonic() - self.start)
        self.samples.append((self.steps, memory, files, rate))
        print(f"| {self.steps:,} | {memory:.1f} | {files} | {rate:.0f} |", flush=True)


def main() -> int:
    """Prints the samples and the verdict."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=50_000)
    arguments = parser.parse_args()
    watch = Watch(max(1, arguments.steps // 25))
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads\n")
    print("| steps | MiB | open files | steps/s since the start |\n|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as out:
        options = TrainOptions.for_dataset(
            "digits",
            method=("agfn",),
            device="cpu",
            train_size=IMAGES,
            batch_size=BATCH,
            epochs=-(-arguments.steps // (IMAGES // BATCH)),
            pretrain_epochs=2,
            feature_dim=32,
            augment=True,
            eval_draws=1,
            checkpoint_seconds=2.0,
            out=Path(out),
        )
        Saver.after_step = lambda saver, loss, index: watch(saver, loss, index)  # type: ignore[method-assign]
        model_config.build_backbone = lambda *_: Backbone()  # type: ignore[assignment]
        train, test = load_datasets(options)
        test = test.subset(torch.arange(32))
        metrics = train_method(options, Path(out), train, test, Console(quiet=True))
    steps, memory, files, _ = (np.array(column) for column in zip(*watch.samples, strict=True))
    late = slice(len(steps) // 2, None)
    slope = np.polyfit(steps[late], memory[late], 1)[0]
    rise = slope * steps[-1] / memory[-1]
    left_open = int(files[-1] - files[0])
    print(f"\nrise over all steps {rise:+.2%}, {left_open:+d} open files; alpha {metrics['alpha']}")
    return int(rise > 0.02 or left_open > 0)


if __name__ == "__main__":
    sys.exit(main())
