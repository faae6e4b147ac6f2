"""A run that was stopped and is resumed is the run that was never stopped."""

import dataclasses
import json
import signal
from functools import partial
from pathlib import Path

import pytest
import torch
from filelock import FileLock
from killed_run import KilledError, assert_same_run, folder_of, kill_after
from rich.console import Console
from small_run import small_run

from pyg_agfn.errors import InputError, InterruptedRunError
from pyg_agfn.registry import METHODS
from pyg_agfn.training import TrainOptions, parse_resume, resume_run, train_methods
from pyg_agfn.training import checkpoint as checkpoint_module
from pyg_agfn.training.checkpoint import FILE
from pyg_agfn.training.saver import Saver

QUIET = Console(quiet=True)
STEPS = 4  # an epoch: 130 images, batches of 32


def options(out: Path, method: str, **given) -> TrainOptions:
    small = {"batch_size": 32, "augment": True, "checkpoint_seconds": 0.0}
    if method == "agfn":
        small |= {"lr_graph": 10.0, "samples": 2}
    if method == "agfn-nlc":
        small |= {"lr_graph": 0.05, "memory_size": 100, "epochs": 3}
    return small_run(out, method=(method,), **{**small, **given})


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """By method, the run that nothing stopped."""
    found: dict[str, Path] = {}

    def run(method: str) -> Path:
        if method not in found:
            out = tmp_path_factory.mktemp(method)
            train_methods(options(out, method), QUIET)
            found[method] = folder_of(out)
        return found[method]

    return run


@pytest.mark.parametrize("method", METHODS)
def test_any_method_killed_inside_an_epoch_is_resumed(method, whole, tmp_path, monkeypatch):
    run = options(tmp_path, method)
    kill_after(STEPS + 2, monkeypatch, lambda: train_methods(run, QUIET))
    resume_run(folder_of(tmp_path), {}, QUIET)
    assert_same_run(folder_of(tmp_path), whole(method))
    assert not (folder_of(tmp_path) / FILE).exists()


@pytest.mark.parametrize(
    "given",
    [
        {"teacher_decay": 0.0},
        {"label_source": "teacher", "memory_size": 0, "classifier_inputs": "graph"},
    ],
    ids=str,
)
def test_a_teacher_or_a_memory_alone_is_resumed_to_the_same_run(given, tmp_path, monkeypatch):
    runs = []
    for name in ("whole", "killed"):
        run = options(tmp_path / name, "agfn-nlc", **given)
        if name == "whole":
            train_methods(run, QUIET)
        else:
            kill_after(2 * STEPS + 1, monkeypatch, lambda: train_methods(run, QUIET))  # noqa: B023
            resume_run(folder_of(tmp_path / name), {}, QUIET)
        runs.append(folder_of(tmp_path / name))
    assert_same_run(*runs)
    metrics = json.loads((runs[0] / "metrics.json").read_text())
    assert abs(metrics["alpha"] - 8.0) > 0.001  # it has learned


@pytest.mark.parametrize(
    ("steps", "before_saving"),
    [((1,), False), ((STEPS,), False), ((STEPS + 2, 2, 1), True), ((2 * STEPS,), True)],
    ids=str,
)
def test_killed_anywhere_and_again(steps, before_saving, whole, tmp_path, monkeypatch):
    run = options(tmp_path, "agfn")
    kill_after(steps[0], monkeypatch, lambda: train_methods(run, QUIET), before_saving)
    for number in steps[1:]:
        resume = partial(resume_run, folder_of(tmp_path), {}, QUIET)
        kill_after(number, monkeypatch, resume, before_saving)
    resume_run(folder_of(tmp_path), {"workers": 0}, QUIET)
    assert_same_run(folder_of(tmp_path), whole("agfn"))


def test_killed_while_it_measures(whole, tmp_path, monkeypatch):
    def dying(*_):
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr("pyg_agfn.training.fit.measure", dying)
        with pytest.raises(KilledError):
            train_methods(options(tmp_path, "agfn"), QUIET)
    resume_run(folder_of(tmp_path), {}, QUIET)
    assert_same_run(folder_of(tmp_path), whole("agfn"))


def test_without_time_for_a_checkpoint_it_begins_again(whole, tmp_path, monkeypatch):
    run = options(tmp_path, "agfn", checkpoint_seconds=1e6)
    kill_after(3, monkeypatch, lambda: train_methods(run, QUIET))
    assert not (folder_of(tmp_path) / FILE).exists()
    resume_run(folder_of(tmp_path), {}, QUIET)
    assert_same_run(folder_of(tmp_path), whole("agfn"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_and_says_how_to_continue(number, whole, tmp_path, monkeypatch):
    after_step = Saver.after_step
    calls = []

    def signalled(self, loss, index):
        calls.append(1)
        if len(calls) == 6:
            signal.raise_signal(number)
        after_step(self, loss, index)

    before = signal.getsignal(number)
    with monkeypatch.context() as patch:
        patch.setattr(Saver, "after_step", signalled)
        with pytest.raises(InterruptedRunError) as caught:
            train_methods(options(tmp_path, "agfn", checkpoint_seconds=1e6), QUIET)
    assert len(calls) == 6
    assert caught.value.code == 128 + number
    assert f"--resume {folder_of(tmp_path)}" in str(caught.value)
    assert signal.getsignal(number) == before
    resume_run(folder_of(tmp_path), {}, QUIET)
    assert_same_run(folder_of(tmp_path), whole("agfn"))


def test_an_interrupted_run_names_the_methods_that_are_left(tmp_path, monkeypatch):
    after_step = Saver.after_step

    def signalled(*arguments):
        signal.raise_signal(signal.SIGINT)
        after_step(*arguments)

    monkeypatch.setattr(Saver, "after_step", signalled)
    chosen = options(tmp_path, "baseline")
    both = dataclasses.replace(chosen, method=("baseline", "gce", "agfn"))
    with pytest.raises(InterruptedRunError, match=r"for gce agfn: --config .* --method gce agfn"):
        train_methods(both, QUIET)


@pytest.fixture
def stopped(tmp_path, monkeypatch):
    """A run folder with a checkpoint."""
    run = options(tmp_path / "out", "agfn")
    kill_after(6, monkeypatch, lambda: train_methods(run, QUIET))
    return folder_of(tmp_path / "out")


def test_a_checkpoint_that_cannot_be_written_leaves_the_last_one(stopped, monkeypatch):
    last = (stopped / FILE).read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        with pytest.raises(InputError, match=r"checkpoint.*No space left on device"):
            resume_run(stopped, {}, QUIET)
    assert (stopped / FILE).read_bytes() == last
    assert not list(stopped.glob("*.partial"))
    resume_run(stopped, {}, QUIET)
    assert (stopped / "metrics.json").exists()


def test_two_processes_are_not_at_one_run(stopped):
    with FileLock(stopped / ".lock"), pytest.raises(InputError, match="another process"):
        resume_run(stopped, {}, QUIET)
    assert (stopped / FILE).exists()


@pytest.mark.parametrize("damage", ["cut", "noise", "empty", "other"])
def test_a_broken_checkpoint_is_one_line(stopped, damage):
    content = (stopped / FILE).read_bytes()
    if damage == "other":
        model = torch.nn.Linear(2, 2).state_dict()
        checkpoint_module.write_tensors(stopped / FILE, dict(model))
    else:
        broken = {"cut": content[: len(content) // 2], "noise": b"\xff" * 999, "empty": b""}
        (stopped / FILE).write_bytes(broken[damage])
    with pytest.raises(InputError, match=rf"{FILE}: cannot be read") as caught:
        resume_run(stopped, {}, QUIET)
    assert "\n" not in str(caught.value)


def test_other_training_labels_are_refused(stopped):
    config = json.loads((stopped / "config.json").read_text())
    (stopped / "config.json").write_text(json.dumps({**config, "noise": 0.3}))
    with pytest.raises(InputError, match="labels are not those that the run began with"):
        resume_run(stopped, {}, QUIET)


def test_a_folder_without_a_run(tmp_path):
    with pytest.raises(InputError, match=r"--resume .*: there is no run"):
        resume_run(tmp_path, {}, QUIET)


def test_a_finished_run_is_said_to_be(whole, tmp_path):
    screen = Console(file=(tmp_path / "screen").open("w+"), width=200)
    metrics = resume_run(whole("agfn"), {}, screen)
    screen.file.seek(0)
    assert "is finished" in screen.file.read()
    assert metrics["method"] == "agfn"


def test_resume_takes_places_only():
    assert parse_resume(["--epochs", "3"]) is None
    assert parse_resume(["--resume", "runs/a", "--workers", "1", "--root", "b"]) == (
        Path("runs/a"),
        {"workers": 1, "root": Path("b")},
    )
    with pytest.raises(InputError, match="leave out --epochs --lr"):
        parse_resume(["--resume", "runs/a", "--lr", "1", "--epochs", "3"])


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("classifier.weight", "classifier.weight is not finite after step 3 of epoch 2"),
        ("agfn.projector.norms.0.module.running_var", "running_var is not finite after step 3"),
        ("agfn.edges.alpha", r"alpha is inf in step 3 \(digits/\d+, .* and 29 more\) of epoch 2"),
        ("agfn.edges.beta", r"beta is inf in step 3 \(digits/\d+, "),
    ],
)
def test_what_is_not_finite_stops_the_run_at_its_last_good_state(name, said, stopped, monkeypatch):
    from pyg_agfn.training.coordinate_descent import CoordinateDescent

    last = (stopped / FILE).read_bytes()
    step = CoordinateDescent.step

    def breaking(self, *arguments):
        result = step(self, *arguments)
        with torch.no_grad():
            self.model.state_dict()[name].view(-1)[0] = torch.inf
        return result

    monkeypatch.setattr(CoordinateDescent, "step", breaking)
    with pytest.raises(InputError, match=rf"{said}.*last good state"):
        resume_run(stopped, {}, QUIET)
    assert (stopped / FILE).read_bytes() == last
