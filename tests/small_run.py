"""Options of a run of about a second that several tests train."""

from pathlib import Path
from typing import Any

from pyg_agfn.training import TrainOptions
from pyg_agfn.training.merge_options import merge_options

#: For a few images of 12x12.
TINY_BASELINE: dict[str, Any] = {"backbone": "small-cnn", "image_size": 12, "batch_size": 8}
TINY_MODEL: dict[str, Any] = {**TINY_BASELINE, "feature_dim": 16}


def small_run(out: Path, **given) -> TrainOptions:
    """Digits, an epoch before the graph and one with it."""
    small = {
        "train_size": 130,
        "epochs": 2,
        "pretrain_epochs": 1,
        "feature_dim": 16,
        "eval_draws": 1,
        "bank_size": 64,
        "batch_size": 128,
    }
    # Methods without a graph would refuse some of them.
    return merge_options({"dataset": "digits", "out": out, **small, **given}, refuse=False)
