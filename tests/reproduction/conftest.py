from pathlib import Path

import pytest

from pyg_agfn.training import TrainOptions


@pytest.fixture
def base(tmp_path: Path) -> TrainOptions:
    """Runs of about a second: the digits, one epoch with the graph and one before it."""
    return TrainOptions.for_dataset(
        "digits",
        train_size=256,
        epochs=2,
        pretrain_epochs=1,
        feature_dim=16,
        bank_size=64,
        eval_draws=2,
        out=tmp_path / "out",
    )
