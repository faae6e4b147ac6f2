"""Runs that die in a step, and whether a resumed one is the run that was never stopped."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from pyg_agfn.training.saver import Saver

#: What is measured of the machine.
MEASURED_TIMES = ("seconds", "seconds_per_epoch", "images_per_second", "peak_memory_gib")


class KilledError(Exception):
    """In place of kill -9."""


def kill_after(
    steps: int,
    monkeypatch: pytest.MonkeyPatch,
    run: Callable[[], object],
    before_saving: bool = False,
) -> None:
    """Runs something that dies in that step from now on, before or after its checkpoint."""
    after_step = Saver.after_step
    calls = []

    def dying(self, loss, index):
        calls.append(1)
        if before_saving and len(calls) == steps:
            raise KilledError
        after_step(self, loss, index)
        if len(calls) == steps:
            raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(Saver, "after_step", dying)
        with pytest.raises(KilledError):
            run()


def folder_of(out: Path) -> Path:
    """The only run folder."""
    (folder,) = out.iterdir()
    return folder


def without_times(metrics: dict[str, object]) -> dict[str, object]:
    """What was measured of the model."""
    return {name: value for name, value in metrics.items() if name not in MEASURED_TIMES}


def assert_same_run(one: Path, other: Path) -> None:
    """The files of two run folders are the same, but for the time that the runs took."""
    for name in ("model", "answers", "bank"):
        if name == "bank" and not (one / "bank.safetensors").exists():
            continue
        first, second = (load_file(f / f"{name}.safetensors") for f in (one, other))
        assert first.keys() == second.keys()
        for key in first:
            assert torch.equal(first[key], second[key]), key

    def metrics(folder: Path) -> dict[str, object]:
        return without_times(json.loads((folder / "metrics.json").read_text()))

    def log(folder: Path) -> list[dict[str, object]]:
        with (folder / "log" / "metrics.csv").open() as file:
            return [without_times(row) for row in csv.DictReader(file)]

    assert metrics(one) == metrics(other)
    assert log(one) == log(other)
    assert len(log(one)) == metrics(one)["epochs"]
