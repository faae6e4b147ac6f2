from pathlib import Path

import pytest
from small_run import small_run

from pyg_agfn.training import TrainOptions


@pytest.fixture
def base(tmp_path: Path) -> TrainOptions:
    """Options of a run of about a second: digits, one epoch before the graph and one with it."""
    return small_run(tmp_path / "out", train_size=256, eval_draws=2)
