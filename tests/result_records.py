"""Records of results, as runs leave them, and rows of the tables that are made of them."""

from pathlib import Path

import torch

from pyg_agfn.reproduction.grid import cell_name, settings
from pyg_agfn.reproduction.results_file import pack
from pyg_agfn.training import TrainOptions


def ferplus(**given) -> TrainOptions:
    return TrainOptions.for_dataset("ferplus", root=Path("DATA"), epochs=14, lr=0.05, **given)


def record(options: TrainOptions, correct: torch.Tensor, **more) -> dict:
    """The record of a finished run."""
    accuracy = float(correct.double().mean())
    metrics = {
        "accuracy": {"bank": accuracy, "shuffled": {"mean": accuracy - 0.01}},
        "leak": 0.123,
        "memorized": 0.25,
        "seconds_per_epoch": 38.0,
        "test_images": len(correct),
    }
    return {
        "cell": cell_name(options),
        "settings": settings(options),
        "metrics": metrics,
        "correct": pack(correct),
        **more,
    }


def answers(right: int) -> torch.Tensor:
    return torch.arange(100) < right


def lines(text: str, method: str) -> list[list[str]]:
    rows = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in rows if row[0].strip() == method]
