"""The accuracy with a graph for each process's part, against one graph of the whole batch.

    .venv/bin/python benchmarks/graph_span.py
    .venv/bin/python benchmarks/graph_span.py --dataset mnist --root DATA --processes 1 8 32

One process with K graphs in a batch stands for K processes with `--graph-span local`: projections,
batch statistics and degrees are the same. The table has inductive accuracy in %, mean and standard
deviation over the seeds.
"""

import argparse
import statistics
import tempfile
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from torch import Tensor

from pyg_agfn.nn import AGFN
from pyg_agfn.training import TrainOptions, load_datasets, train_method


def main() -> None:
    """Prints a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", default="digits")
    parser.add_argument("--root", type=Path)
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2, 4, 8, 16])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    arguments = parser.parse_args()
    print("| processes | nodes a graph | inductive | memorized |\n|---|---|---|---|", flush=True)
    for processes in arguments.processes:
        accuracy, memorized = [], []
        for seed in arguments.seeds:
            options = TrainOptions.for_dataset(
                arguments.dataset,
                root=arguments.root,
                precision=arguments.precision,
                method=("agfn",),
                seed=seed,
            )
            with tempfile.TemporaryDirectory() as folder:
                metrics = train(options, processes, Path(folder))
            accuracy.append(100 * metrics["accuracy"]["bank"])
            memorized.append(100 * metrics["memorized"])
        spread = f" ± {statistics.stdev(accuracy):.2f}" if len(accuracy) > 1 else ""
        print(
            f"| {processes} | {options.batch_size // processes} "
            f"| {statistics.mean(accuracy):.2f}{spread} | {statistics.mean(memorized):.1f}% |",
            flush=True,
        )


def train(options: TrainOptions, processes: int, folder: Path) -> dict[str, Any]:
    """Trains a run whose batches have that many graphs each; returns its metrics."""
    whole = AGFN.forward

    def divided(
        self: AGFN, x: Tensor, batch: Tensor | None = None, use_graph: bool = True
    ) -> Tensor:
        if self.training:
            share = len(x) // processes
            batch = torch.arange(len(x), device=x.device) // share
        return whole(self, x, batch, use_graph)

    AGFN.forward = divided  # type: ignore[method-assign]
    try:
        return train_method(options, folder, *load_datasets(options), Console(quiet=True))
    finally:
        AGFN.forward = whole  # type: ignore[method-assign]


if __name__ == "__main__":
    main()
