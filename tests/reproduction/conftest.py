from pathlib import Path

import pytest

from pyg_agfn.training import TrainOptions


@pytest.fixture
def base(tmp_path: Path) -> TrainOptions:
    """Options of a run of about a second: digits, one epoch before the graph and one with it."""
    small = {"train_size": 256, "epochs": 2, "pretrain_epochs": 1, "feature_dim": 16}
    return TrainOptions.for_dataset(
        "digits", out=tmp_path / "out", **small, eval_draws=2, bank_size=64
    )
