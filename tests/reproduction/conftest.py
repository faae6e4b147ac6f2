from pathlib import Path

import pytest
from small_run import small_run

from pyg_agfn.training import TrainOptions


@pytest.fixture
def base(tmp_path: Path) -> TrainOptions:
    """Runs of about a second: the digits, one epoch with the graph and one before it."""
    return small_run(tmp_path / "out", train_size=256, eval_draws=2)
