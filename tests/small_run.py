"""Options of a run of about a second, which several tests train."""

from pathlib import Path

from pyg_agfn.training import TrainOptions


def small_run(out: Path, **given) -> TrainOptions:
    """Digits, an epoch before the graph and one with it."""
    small = {
        "train_size": 130,
        "epochs": 2,
        "pretrain_epochs": 1,
        "feature_dim": 16,
        "eval_draws": 1,
        "bank_size": 64,
    }
    return TrainOptions.for_dataset("digits", out=out, **{**small, **given})
