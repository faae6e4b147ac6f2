"""The average of the weights that is measured and kept, against averages written out."""

import copy

import pytest
import torch
from own_data import same, trainer, weights
from rich.console import Console
from torch import nn

from pyg_agfn import Trainer
from pyg_agfn.training.weight_averaging import WeightAverage


@pytest.fixture
def recorded(monkeypatch):
    """The weights of the model in training, after each step and each epoch."""
    steps, epochs = [], []
    after_step, after_epoch = WeightAverage.after_step, WeightAverage.after_epoch

    def step(self):
        steps.append(copy.deepcopy(self.source.state_dict()))
        after_step(self)

    def epoch(self, *arguments):
        epochs.append(copy.deepcopy(self.source.state_dict()))
        after_epoch(self, *arguments)

    monkeypatch.setattr(WeightAverage, "after_step", step)
    monkeypatch.setattr(WeightAverage, "after_epoch", epoch)
    return steps, epochs


def test_ema_is_the_running_mean_of_all_steps_and_statistics(tiny, recorded):
    result = trainer(weight_averaging="ema", ema_decay=0.5, epochs=4).fit(tiny)
    steps, _ = recorded
    assert len(steps) == 12
    for name, found in weights(result).items():
        expected = steps[0][name].double()
        for count, state in enumerate(steps[1:], 1):
            decay = min(0.5, (1 + count) / (10 + count))
            expected = decay * expected + (1 - decay) * state[name].double()
        if found.is_floating_point():
            torch.testing.assert_close(found.double(), expected, rtol=1e-4, atol=1e-5)


def test_swa_is_the_mean_over_the_last_quarter_of_the_epochs(tiny, recorded):
    result = trainer(weight_averaging="swa", epochs=8, schedule="constant").fit(tiny)
    _, epochs = recorded
    model = result.model
    for name, parameter in model.named_parameters():
        expected = (epochs[6][name] + epochs[7][name]) / 2
        torch.testing.assert_close(parameter.detach(), expected)
        assert not torch.equal(epochs[6][name], epochs[7][name])


def test_swa_has_the_statistics_of_its_own_weights(tiny):
    """Batch normalization is as if trained with momentum 1/n by the averaged weights."""
    result = trainer(weight_averaging="swa", epochs=4).fit(tiny)
    reference = copy.deepcopy(result.model).train()
    norms = [m for m in reference.modules() if isinstance(m, nn.BatchNorm2d)]
    assert norms
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
    for batch in tiny.batches(batch_size=20, device="cpu", shuffle=True, seed=0):
        reference(batch.images)
    for name, expected in reference.state_dict().items():
        torch.testing.assert_close(weights(result)[name], expected)


def test_before_its_epochs_swa_measures_the_model_itself(tiny):
    usual = trainer(epochs=4).fit(tiny, tiny)
    averaged = trainer(epochs=4, weight_averaging="swa").fit(tiny, tiny)
    for name in ("loss", "train_accuracy"):  # nor does averaging change what is trained
        assert [e[name] for e in usual.history] == [e[name] for e in averaged.history]
    found = [[e["test_accuracy"] for e in r.history[:3]] for r in (usual, averaged)]
    assert found[0] == found[1]


@pytest.mark.parametrize("kind", ["ema", "swa"])
@pytest.mark.parametrize("method", ["agfn", "scn", "eac", "center-loss", "threshold-gcn"])
def test_any_method_whose_model_is_measured_takes_an_average(method, kind, tiny):
    def train(averaging: str):
        more = {"pretrain_epochs": 1, "feature_dim": 16} if method in GRAPHS else {}
        return trainer(method=method, weight_averaging=averaging, lr=0.1, **more).fit(tiny, tiny)

    usual, averaged = train("none"), train(kind)
    assert [e["loss"] for e in usual.history] == [e["loss"] for e in averaged.history]
    assert kind == "swa" or not same(weights(usual), weights(averaged))
    assert usual.predict(tiny.images).shape == averaged.predict(tiny.images).shape


GRAPHS = ("agfn", "threshold-gcn")


def test_the_average_chooses_and_is_the_best_epoch(tiny):
    result = trainer(weight_averaging="ema", keep="best", epochs=5).fit(tiny, tiny)
    found = [epoch["test_accuracy"] for epoch in result.history]
    assert result.evaluate(tiny).outcomes["single"].mean == pytest.approx(max(found))


def test_a_method_with_a_teacher_leaves_it_out_beside_others(tiny, tmp_path):
    options = trainer(method="agfn-nlc", feature_dim=16).options
    told = []
    for changed in (options, options.changed(weight_averaging="ema")):
        with (tmp_path / "screen").open("w") as screen:
            console = Console(file=screen, width=200)
            told.append(weights(Trainer.from_options(changed, console).fit(tiny)))
    assert same(*told)
    line = "agfn-nlc: --weight-averaging is left out, as its model is an average anyhow"
    assert line in (tmp_path / "screen").read_text()


def test_without_a_teacher_the_weights_are_averaged(tiny):
    given = {"method": "agfn-nlc", "teacher_decay": 0.0, "feature_dim": 16}
    found = [weights(trainer(**given, weight_averaging=w).fit(tiny)) for w in ("none", "ema")]
    assert not same(*found)
