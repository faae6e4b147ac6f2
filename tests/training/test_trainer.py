"""The second door: one object that trains any backbone by any method."""

import copy

import pytest
import torch
from own_data import Net, floats, photos, same, trainer, weights
from rich.console import Console
from safetensors.torch import load_file
from torch import nn

from pyg_agfn import Trainer
from pyg_agfn.errors import InputError
from pyg_agfn.methods import (
    Baseline,
    Method,
    NeighborCorrection,
    StepOutput,
)
from pyg_agfn.nn import AGFNClassifier
from pyg_agfn.registry import METHODS
from pyg_agfn.training import TrainOptions, load_datasets, train_methods


def test_the_defaults_are_the_method_that_corrects_labels_and_a_resnet():
    made = Trainer()
    assert made.options.method == ("agfn-nlc",)
    assert made.options.backbone == "resnet18"
    assert made.options.alpha == 8.0  # the method's own default
    assert made.keep == "last"


@pytest.mark.parametrize("method", METHODS)
def test_every_method_is_trained_by_its_name(method, tiny):
    more = {"feature_dim": 16} if METHODS[method].joins_images else {}
    result = trainer(method=method, **more).fit(tiny, tiny)
    assert result.config.method == result.metrics["method"] == method
    assert len(result.history) == 3
    assert result.metrics["test_images"] == 60
    assert not result.model.training


def test_a_module_of_the_users_own_is_copied_and_trained(tiny):
    backbone = Net().eval()
    backbone.layers[0].train()
    before = copy.deepcopy(backbone)
    result = trainer(backbone, epochs=8).fit(tiny, tiny)
    assert isinstance(result.model.backbone, Net)
    assert result.model.backbone is not backbone
    assert result.model.backbone.num_features == result.model.num_features == 24 * 8
    assert result.config.backbone == "custom"
    assert result.metrics["accuracy"]["bank"] > 0.9
    # Weights, statistics, mode and attributes of the user's module are as they were.
    assert same(backbone.state_dict(), before.state_dict())
    assert not same(result.model.backbone.state_dict(), before.state_dict())
    assert [m.training for m in backbone.modules()] == [m.training for m in before.modules()]
    assert not hasattr(backbone, "num_features")


@pytest.mark.parametrize("method", ["baseline", "agfn", "agfn-nlc", "scn", "center-loss"])
def test_every_kind_of_method_takes_a_module(method, tiny):
    more = {"feature_dim": 16} if METHODS[method].joins_images else {}
    result = trainer(Net(), method, **more).fit(tiny)
    assert result.model.backbone.layers[0].out_channels == 24


def test_a_module_may_say_how_many_features_it_has(tiny):
    backbone = Net()
    backbone.num_features = 24 * 8
    assert trainer(backbone, epochs=1).fit(tiny).model.num_features == 24 * 8


def test_the_number_of_features_is_found_without_random_numbers(tiny):
    said, silent = Net(), Net()
    silent.load_state_dict(said.state_dict())
    said.num_features = 24 * 8
    found = [weights(trainer(backbone).fit(tiny)) for backbone in (said, silent)]
    assert same(*found)


def test_frozen_and_unused_layers_stay_as_they_are(tiny):
    backbone = Net()
    backbone.layers[0].requires_grad_(False)
    backbone.unused = nn.Linear(3, 3)
    for method in ("baseline", "agfn-nlc"):
        result = trainer(backbone, method).fit(tiny)
        trained = result.model.backbone
        if method == "baseline":
            assert torch.equal(trained.layers[0].weight, backbone.layers[0].weight)
            assert torch.equal(trained.unused.weight, backbone.unused.weight)
        torch.testing.assert_close(trained.layers[0].weight, backbone.layers[0].weight)


def test_a_method_object_keeps_its_own_settings(tiny):
    method = NeighborCorrection(teacher_decay=0, memory_size=30, pretrain_epochs=1)
    result = trainer(method=method, feature_dim=16).fit(tiny)
    assert result.config.method == "agfn-nlc"
    assert isinstance(result.model, AGFNClassifier)
    assert not hasattr(method, "model")  # it is copied, so that it can be used again
    by_name = trainer(
        method="agfn-nlc", teacher_decay=0, memory_size=30, pretrain_epochs=1, feature_dim=16
    )
    assert same(weights(result), weights(by_name.fit(tiny)))


def test_a_method_from_outside_the_package(tiny, registered):
    class Doubled(Method):
        """Minimizes twice the loss of the labels."""

        def training_step(self, batch):
            logits = self.model(batch.images)
            return StepOutput(2 * self.criterion(logits, batch.labels), logits, batch.labels)

    with pytest.raises(InputError, match=r"^method Doubled is not registered: give it a name by"):
        trainer(method=Doubled())
    registered("doubled", Doubled)
    found = [weights(trainer(method=m).fit(tiny)) for m in ("doubled", Doubled())]
    assert same(*found)
    assert not same(found[0], weights(trainer(method="baseline").fit(tiny)))

    class Inherits(Doubled):
        """Has the name of the class that it is made of, and must not be taken for it."""

    with pytest.raises(InputError, match="method Inherits is not registered"):
        trainer(method=Inherits())


@pytest.mark.parametrize("method", ["baseline", "agfn-nlc", "scn"])
def test_two_trainings_begin_alike_and_share_nothing(tiny, method):
    more = {"feature_dim": 16} if METHODS[method].joins_images else {}
    made = trainer(Net(), method, **more)
    first = made.fit(tiny, tiny)
    kept = weights(first)
    second = made.fit(tiny, tiny)
    assert same(kept, weights(first))
    assert same(kept, weights(second))
    assert first.metrics["accuracy"] == second.metrics["accuracy"]
    storage = {tensor.data_ptr() for tensor in first.model.state_dict().values()}
    assert not storage & {tensor.data_ptr() for tensor in second.model.state_dict().values()}
    assert not same(kept, weights(trainer(Net(), method, seed=1, **more).fit(tiny)))


def test_a_method_object_begins_again_each_time(tiny, registered):
    class Remembers(Baseline):
        """Keeps from its making on how many steps it has seen, and stops learning by it."""

        steps = 0

        def training_step(self, batch):
            self.steps += 1
            out = super().training_step(batch)
            return StepOutput(out.loss / self.steps, out.logits, out.targets)

    registered("remembers", Remembers)
    made = trainer(method=Remembers())
    assert same(weights(made.fit(tiny)), weights(made.fit(tiny)))


@pytest.mark.parametrize("method", ["baseline", "agfn-nlc"])
def test_the_command_trains_the_same(method, tmp_path):
    given = {"train_size": 200, "seed": 3, "noise": 0.3}
    shared = {"epochs": 3, "batch_size": 50, "lr": 0.05, "backbone": "small-cnn", "device": "cpu"}
    if method == "agfn-nlc":
        shared |= {"feature_dim": 16, "pretrain_epochs": 1}
    options = TrainOptions.for_dataset(
        "digits", method=method, out=tmp_path, **given, **shared, augment=True
    )
    (metrics,) = train_methods(options, Console(quiet=True))
    train, test = load_datasets(options)
    made = Trainer(method=method, quiet=True, **shared, augment=True, seed=3)
    result = made.fit(train, test)
    folder = tmp_path / f"digits-{method}-noise0.3-seed3"
    assert same(load_file(folder / "model.safetensors"), weights(result))
    assert result.metrics["accuracy"] == metrics["accuracy"]
    assert result.metrics["memorized"] == metrics["memorized"]


def test_quiet_prints_nothing(tiny, capfd):
    trainer(method="agfn", feature_dim=16).fit(tiny, tiny)
    printed = capfd.readouterr()
    assert printed.out + printed.err == ""
    trainer(quiet=False).fit(tiny, tiny)
    assert "baseline epoch 3/3" in capfd.readouterr().out


def test_defaults_that_fit_few_images_are_said(tiny, capfd):
    made = Trainer("small-cnn", "baseline", lr=0.05, device="cpu", epochs=2, augment=False)
    assert made.fit(tiny).config.batch_size == 16
    assert "by default for 60 training images: --batch-size 16" in capfd.readouterr().out


def test_images_of_two_scales_are_said(tiny, capfd):
    for train, validation, kinds in (
        (tiny, floats(tiny), "training images are bytes and validation images are floats"),
        (floats(tiny), tiny, "training images are floats and validation images are bytes"),
    ):
        trainer(epochs=1, quiet=False).fit(train, validation)
        assert f"{kinds}: bytes are scaled to -1..1" in capfd.readouterr().out
    trainer(epochs=1, quiet=False).fit(tiny, photos(tiny))
    assert "scaled" not in capfd.readouterr().out
