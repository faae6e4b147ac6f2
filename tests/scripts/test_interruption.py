"""A run as a process: a second process in its folder, Ctrl-C, a full disk."""

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file
from small_run import small_run

from pyg_agfn.errors import InputError, InterruptedRunError
from pyg_agfn.training import TrainOptions, resume_run, train_methods

SCRIPT = Path(__file__).parents[2] / "scripts" / "train_pyg.py"
QUIET = Console(quiet=True)
TIMES = ("seconds_per_epoch", "peak_memory_gib")


def options(out: Path, checkpoint_seconds: float = 1e6) -> TrainOptions:
    return small_run(
        out,
        method=("agfn",),
        batch_size=32,
        epochs=10,
        lr_graph=10.0,
        augment=True,
        checkpoint_seconds=checkpoint_seconds,
    )


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """A run that was never stopped."""
    out = tmp_path_factory.mktemp("whole")
    train_methods(options(out), QUIET)
    return next(out.iterdir())


def assert_same(one: Path, other: Path) -> None:
    for name in ("model", "answers", "bank"):
        first, second = (load_file(folder / f"{name}.safetensors") for folder in (one, other))
        assert first.keys() == second.keys()
        assert all(torch.equal(first[key], second[key]) for key in first)
    first, second = (json.loads((f / "metrics.json").read_text()) for f in (one, other))
    assert {**first, **dict.fromkeys(TIMES)} == {**second, **dict.fromkeys(TIMES)}


def content(folder: Path) -> dict[str, bytes]:
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != ".lock"]
    return {str(path): path.read_bytes() for path in files}


@pytest.mark.slow
def test_a_second_process_refuses_and_ctrl_c_saves(whole, tmp_path, script):
    out = tmp_path / "out"
    options(out, checkpoint_seconds=0).save(tmp_path / "config.json")
    threads = str(torch.get_num_threads())
    process = subprocess.Popen(
        [sys.executable, str(SCRIPT), "--config", str(tmp_path / "config.json")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads},
    )
    try:
        while not list(out.glob("*/checkpoint.safetensors")):
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.01)
        process.send_signal(signal.SIGSTOP)  # it pauses, and keeps its lock
        folder = next(out.iterdir())
        before = content(folder)
        second = script("train_pyg.py", "--resume", folder)
        assert second.returncode == 2
        (line,) = second.stderr.splitlines()
        assert "another process is training this run" in line
        assert content(folder) == before
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGCONT)
        _, errors = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == 130
    (line,) = errors.splitlines()
    assert f"--resume {folder} continues it" in line
    assert not (folder / "metrics.json").exists()
    resume_run(folder, {"checkpoint_seconds": 1e6}, QUIET)
    assert_same(folder, whole)


@pytest.mark.parametrize(
    ("place", "number"),
    [("fit.measure", signal.SIGINT), ("result.save_model", signal.SIGTERM)],
)
def test_a_signal_after_the_training_loses_none_of_it(place, number, whole, tmp_path, monkeypatch):
    def signalled(*_):
        signal.raise_signal(number)
        time.sleep(60)  # never reached: Python calls the handler first
        raise AssertionError

    with monkeypatch.context() as patch:
        patch.setattr(f"pyg_agfn.training.{place}", signalled)
        with pytest.raises(InterruptedRunError, match=r"--resume .* continues it") as caught:
            train_methods(options(tmp_path), QUIET)
    assert caught.value.code == 128 + number
    folder = next(tmp_path.iterdir())

    def trains(*_):
        raise AssertionError("it was trained")

    with monkeypatch.context() as patch:
        patch.setattr("pyg_agfn.training.saver.Saver.after_step", trains)
        resume_run(folder, {}, QUIET)
    assert_same(folder, whole)


def test_where_files_cannot_grow_the_last_checkpoint_stays(whole, tmp_path):
    """The system fails a write in its middle, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    folder = tmp_path / "digits-agfn-noise0.2-seed0"
    try:
        # Enough for the configuration and the log, but not for a checkpoint.
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
        with pytest.raises(InputError, match=r"checkpoint.* cannot be written \(File too large\)"):
            train_methods(options(tmp_path, checkpoint_seconds=0), QUIET)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not list(folder.glob("checkpoint*"))
    resume_run(folder, {"checkpoint_seconds": 1e6}, QUIET)
    assert_same(folder, whole)
