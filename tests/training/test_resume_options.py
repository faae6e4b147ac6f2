"""A run with any optimizer, schedule, average or draw is resumed to the run that never stopped."""

import pytest
from killed_run import assert_same_run, folder_of, kill_after
from rich.console import Console
from small_run import small_run

from pyg_agfn.training import resume_run, train_methods

QUIET = Console(quiet=True)
STEPS = 4  # an epoch: 130 images, batches of 32
GIVEN = [
    {"optimizer": "adam", "schedule": "constant"},
    {"optimizer": "adamw", "lr_backbone": 0.0005, "freeze_epochs": 2},
    {"lr_backbone": 0.01, "schedule": "step", "milestones": (1, 3), "warmup_epochs": 1},
    {"freeze_epochs": 1, "schedule": "exponential", "gamma": 0.7},
    {"weight_averaging": "ema", "ema_decay": 0.9},
    {"weight_averaging": "swa", "keep": "best", "val_fraction": 0.2, "train_size": 165},
    {"weight_averaging": "swa", "schedule": "constant"},
    {"balance": "sampler"},
    {"balance": "loss", "loss": "squared-error"},
]


@pytest.mark.parametrize("given", GIVEN, ids=str)
def test_a_run_killed_three_times_is_the_same_run(given, tmp_path, monkeypatch):
    small = {"batch_size": 32, "augment": True, "checkpoint_seconds": 0.0, "epochs": 4}
    small |= {"lr_graph": 10.0, "samples": 2, "method": ("agfn",), **given}
    runs = [small_run(tmp_path / name, **small) for name in ("whole", "killed")]
    train_methods(runs[0], QUIET)
    kill_after(2, monkeypatch, lambda: train_methods(runs[1], QUIET))
    folder = folder_of(tmp_path / "killed")
    for steps in (2 * STEPS - 2, STEPS + 2):  # at the end of an epoch, and inside the last
        kill_after(steps, monkeypatch, lambda: resume_run(folder, {}, QUIET))
    resume_run(folder, {}, QUIET)
    assert_same_run(folder_of(tmp_path / "whole"), folder)
