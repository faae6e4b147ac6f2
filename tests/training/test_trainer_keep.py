"""Which epoch a trainer keeps, and how a training in a folder is resumed."""

import signal

import pytest
import torch
from own_data import same, trainer, weights
from safetensors.torch import load_file

from pyg_agfn.datasets import ImageDataset
from pyg_agfn.errors import InputError, InterruptedRunError
from pyg_agfn.methods import (
    Baseline,
)
from pyg_agfn.training import validation as validation_module


def epochs_of(accuracies, monkeypatch) -> None:
    """Has the epochs measure these accuracies on the validation images."""
    remaining = iter(accuracies)
    made = validation_module.Accuracies
    monkeypatch.setattr(
        validation_module, "accuracies_on", lambda *_: made(next(remaining), 0.5, 0.5)
    )


def test_the_last_epoch_is_kept_unless_the_best_is_asked_for(tiny, monkeypatch):
    last = trainer(epochs=4).fit(tiny, tiny)
    for accuracies, best in (
        ([0.2, 0.7, 0.7, 0.5], 2),  # of two that are equal the first
        ([0.9, 0.7, 0.7, 0.5], 1),
        ([0.1, 0.2, 0.3, 0.4], 4),
    ):
        epochs_of(accuracies, monkeypatch)
        result = trainer(epochs=4, keep="best").fit(tiny, tiny)
        assert result.metrics["best_epoch"] == best
        assert same(weights(result), weights(last)) == (best == 4)
        monkeypatch.undo()
    assert "best_epoch" not in last.metrics


def test_the_best_weights_are_those_that_measured_the_best_accuracy(tiny):
    rows = torch.arange(60).roll(7)
    validation = ImageDataset(
        tiny.images[rows].numpy() // 2 + 60, tiny.labels[rows].numpy(), tiny.classes, tiny.names
    )
    result = trainer(epochs=6, keep="best", lr=0.2).fit(tiny, validation)
    accuracies = [epoch["test_accuracy"] for epoch in result.history]
    assert result.metrics["best_epoch"] == accuracies.index(max(accuracies)) + 1
    found = result.evaluate(validation).outcomes["single"].mean
    assert found == pytest.approx(max(accuracies))


def stop_after(monkeypatch, steps: int) -> None:
    """Ctrl-C after a step."""
    step, done = Baseline.training_step, [0]

    def counted(self, batch):
        done[0] += 1
        if done[0] == steps:
            signal.raise_signal(signal.SIGINT)
        return step(self, batch)

    monkeypatch.setattr(Baseline, "training_step", counted)


@pytest.mark.parametrize("validated", [True, False])
def test_a_training_in_a_folder_is_resumed_by_the_same_call(tiny, tmp_path, monkeypatch, validated):
    validation, keep = (tiny, "best") if validated else (None, "last")
    whole = trainer(keep=keep, epochs=5).fit(tiny, validation)
    folder = tmp_path / "runs" / "mine"
    stop_after(monkeypatch, 3 * 2 + 1)
    with pytest.raises(InterruptedRunError, match="interrupted in epoch 3, and saved"):
        trainer(keep=keep, epochs=5).fit(tiny, validation, folder)
    monkeypatch.undo()
    assert not (folder / "metrics.json").exists()
    with pytest.raises(InputError, match=r"holds a run of lr 0\.05 that is not finished"):
        trainer(keep=keep, epochs=5, lr=0.1).fit(tiny, validation, folder)
    resumed = trainer(keep=keep, epochs=5).fit(tiny, validation, str(folder))
    assert same(weights(resumed), weights(whole))
    assert len(resumed.history) == 5
    assert resumed.metrics.get("best_epoch") == whole.metrics.get("best_epoch")
    assert same(load_file(folder / "model.safetensors"), weights(whole))
    assert (folder / "learning_curve.png").exists()
    with pytest.raises(InputError, match="there is a finished run; choose another folder"):
        trainer(keep=keep, epochs=5).fit(tiny, validation, folder)


@pytest.mark.parametrize(("began", "resumes"), [("last", "best"), ("best", "last")])
def test_a_run_that_began_without_keeping_the_best_has_none(
    tiny, tmp_path, monkeypatch, began, resumes
):
    stop_after(monkeypatch, 7)
    with pytest.raises(InterruptedRunError):
        trainer(keep=began, epochs=5).fit(tiny, tiny, tmp_path / "run")
    monkeypatch.undo()
    made = trainer(keep=resumes, epochs=5)
    if resumes == "best":
        with pytest.raises(InputError, match="was begun by keep='last', and the best epoch so far"):
            made.fit(tiny, tiny, tmp_path / "run")
    else:
        whole = trainer(epochs=5).fit(tiny, tiny)
        assert same(weights(made.fit(tiny, tiny, tmp_path / "run")), weights(whole))
