"""A checkpoint that is not what was written: refused in one line, before any of it is used."""

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from pyg_agfn.errors import InputError
from pyg_agfn.methods import TrainingBatch
from pyg_agfn.runs.folder import ModelConfig
from pyg_agfn.training import TrainOptions, make_fabric
from pyg_agfn.training.checkpoint import TrainingState, load_checkpoint, save_checkpoint
from pyg_agfn.training.coordinate_descent import CoordinateDescent
from pyg_agfn.training.fit import make_method
from pyg_agfn.training.training_dynamics import TrainingDynamics
from pyg_agfn.training.weight_averaging import WeightAverage

EPOCHS, STEPS = 3, 3  # 60 images, batches of 20


class Backbone(torch.nn.Sequential):
    num_features = 4

    def __init__(self):
        super().__init__(torch.nn.Flatten(), torch.nn.Linear(64, 4))


def begin(tiny, method: str = "agfn", **given) -> TrainingState:
    torch.manual_seed(0)
    options = TrainOptions(
        method=method, batch_size=20, epochs=EPOCHS, pretrain_epochs=1, memory_size=50, **given
    )
    config = ModelConfig(method, "custom", tiny.classes, 1, 8, 8, feature_dim=4)
    model = config.build(Backbone())
    trained = make_method(options)
    trained.setup(model, len(tiny))
    fabric = make_fabric(options)
    batches = tiny.batches(batch_size=20, device=fabric.device, shuffle=True, views=trained.views)
    descent = CoordinateDescent(fabric, model, trained, options, EPOCHS * STEPS)
    dynamics = TrainingDynamics(len(tiny), tiny.fingerprint())
    state = TrainingState(model, descent, trained, batches, dynamics)
    if options.weight_averaging != "none":
        state.average = WeightAverage(model, options)
    state.begin_epoch(1)
    return state


def epoch(number: int) -> dict[str, float]:
    names = ("loss", "train_accuracy", "test_accuracy", "seconds", "images_per_second")
    return {"epoch": number, **dict.fromkeys(names, 0.5), "alpha": None}


def train(state: TrainingState, stop: int) -> None:
    """An epoch, and some steps of the next."""
    for number, last in ((1, STEPS), (2, stop)):
        if number == 2:
            state.history.append(epoch(1))
            state.begin_epoch(2)
        for done, batch in enumerate(state.batches, 1):
            seen = TrainingBatch(batch.images, batch.labels, batch.index, batch.views, 20)
            state.count(seen, state.descent.step(seen))
            if state.average is not None:
                state.average.after_step()
            state.seconds += 0.1
            if done == last and number == 2:
                return


@pytest.fixture
def saved(tiny, tmp_path) -> Path:
    state = begin(tiny)
    train(state, 2)
    save_checkpoint(tmp_path / "c.safetensors", state, tiny)
    return tmp_path / "c.safetensors"


def change(path: Path, facts=None, tensors=None) -> None:
    with safe_open(path, framework="pt") as file:
        known = json.loads(file.metadata()["state"])
    content = {**load_file(path), **(tensors or {})}
    kept = {name: tensor for name, tensor in content.items() if tensor is not None}
    save_file(kept, path, {"state": json.dumps({**known, **(facts or {})})})


def complaint_of(path: Path, state: TrainingState, data) -> str:
    with pytest.raises(InputError) as caught:
        load_checkpoint(path, state, data)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(f"{path}: ")
    return str(caught.value)


def test_an_unchanged_one_is_taken(saved, tiny):
    change(saved)
    state = begin(tiny)
    load_checkpoint(saved, state, tiny)
    assert (state.epoch, state.batches.done, len(state.history)) == (2, 2, 1)


def test_one_from_before_the_dynamics_were_kept_is_taken(saved, tiny):
    change(saved, tensors={"dynamics.total": None, "dynamics.count": None})
    state = begin(tiny)
    load_checkpoint(saved, state, tiny)
    assert state.batches.done == 2
    assert state.dynamics.mean().isnan().all()


@pytest.mark.parametrize(
    ("facts", "complaint"),
    [
        ({"epoch": 10**9}, "epoch is not 1 to 4"),
        ({"epoch": 0}, "epoch is not"),
        ({"epoch": True}, "epoch is not"),
        ({"epoch": "2"}, "epoch is not"),
        ({"done": -1}, "done is more than 3 steps"),
        ({"done": 4}, "done is more than 3 steps"),
        ({"done": 1}, "schedule is not at step 4"),
        ({"epoch": 4, "history": [epoch(i) for i in (1, 2, 3)]}, "done is more"),
        ({"seconds": float("nan")}, "seconds is not a time"),
        ({"seconds": 0}, "seconds is not a time"),
        ({"seconds": 10**400}, "seconds is not a time"),
        ({"history": []}, "history is not of 1 epochs"),
        ({"history": {"0": 1}}, "history is not of"),
        ({"history": [5]}, "cannot be read"),
        ({"history": [{}]}, "cannot be read"),
        ({"history": [{**epoch(1), "loss": "x"}]}, "history of epoch 1"),
        ({"history": [epoch(2)]}, "history of epoch 1"),
        ({"optimizers": []}, "cannot be read"),
        ({"optimizers": [[], []]}, "optimizer of other groups"),
        ({"optimizers": [[{"lr": "1"}], [{"lr": 1}]]}, "optimizer of no learning rate"),
        ({"optimizers": [[{"lr": -1}], [{"lr": 1}]]}, "optimizer of no learning rate"),
        ({"schedule": {}}, "cannot be read"),
        ({"schedule": None}, "cannot be read"),
        ({"data": "0"}, "not those that the run began with"),
        ({"data": None}, "not those that the run began with"),
    ],
    ids=str,
)
def test_facts_that_cannot_be_are_refused(saved, tiny, facts, complaint):
    change(saved, facts)
    assert complaint in complaint_of(saved, begin(tiny), tiny)


@pytest.mark.parametrize("name", ["step", "optimizer", "__class__", "last_epoch", "_last_lr"])
def test_a_schedule_takes_numbers_only(saved, tiny, name):
    with safe_open(saved, framework="pt") as file:
        schedule = json.loads(file.metadata()["state"])["schedule"]
    change(saved, {"schedule": {**schedule, name: "x"}})
    state = begin(tiny)
    if name in schedule:
        assert "schedule is another one" in complaint_of(saved, state, tiny)
        return
    load_checkpoint(saved, state, tiny)
    train(state, 1)  # what it did not know was passed over


@pytest.mark.parametrize("rate", [0, -1, 10**9])
def test_the_height_of_a_schedule_is_the_runs_own(saved, tiny, rate):
    with safe_open(saved, framework="pt") as file:
        schedule = json.loads(file.metadata()["state"])["schedule"]
    change(saved, {"schedule": {**schedule, "base_lrs": [rate]}})
    state = begin(tiny)
    own = state.descent.schedule.base_lrs
    load_checkpoint(saved, state, tiny)
    train(state, 1)
    assert state.descent.schedule.base_lrs == own


@pytest.mark.parametrize(
    ("tensors", "complaint"),
    [
        ({"model.classifier.bias": torch.zeros(4)}, "is of shape [4] where the model has [3]"),
        ({"model.classifier.bias": torch.zeros(3).double()}, "is of type F64"),
        ({"model.classifier.bias": torch.full((3,), torch.nan)}, "is not finite"),
        ({"model.classifier.bias": None}, "model.classifier.bias is missing"),
        ({"generator.cpu": torch.zeros(5056, dtype=torch.uint8)}, "cannot be read"),
        ({"generator.cpu": torch.zeros(9, dtype=torch.uint8)}, "generator.cpu is of shape [9]"),
        ({"batches.generator": torch.ones(5056, dtype=torch.uint8)}, "cannot be read"),
        ({"totals.steps": torch.zeros(())}, "totals.steps is of type F32"),
        ({"optimizer.0.0.momentum_buffer": torch.zeros(1)}, "optimizer.0.0.momentum_buffer is of"),
        ({"optimizer.0.0.other": torch.zeros(())}, "does not belong"),
        ({"optimizer.0.-1.momentum_buffer": torch.zeros(())}, "does not belong"),
        ({"optimizer.0.99.momentum_buffer": torch.zeros(())}, "does not belong"),
        ({"optimizer.7.0.momentum_buffer": torch.zeros(())}, "does not belong"),
        ({"dynamics.total": torch.full((60,), 9.0)}, "cannot be read"),
        ({"dynamics.count": None}, "dynamics.count is missing"),
        ({"objective.centers": torch.zeros(3, 4)}, "does not belong"),
    ],
    ids=str,
)
def test_tensors_that_do_not_fit_are_refused(saved, tiny, tensors, complaint):
    change(saved, tensors=tensors)
    assert complaint in complaint_of(saved, begin(tiny), tiny)


@pytest.mark.parametrize(
    ("method", "tensors", "complaint"),
    [
        ("center-loss", {"objective.centers": torch.zeros(3, 5)}, "centers is of shape [3, 5]"),
        ("center-loss", {"objective.centers": torch.full((3, 4), torch.inf)}, "is not finite"),
        ("scn", {"objective.relabelled": torch.full((60,), 3)}, "relabelled has other classes"),
        ("scn", {"objective.relabelled": torch.full((60,), -2)}, "relabelled has other classes"),
        ("scn", {"objective.relabelled": torch.full((61,), -1)}, "relabelled is of shape [61]"),
        ("scn", {"objective.relabelled": torch.zeros(6, 10).long()}, "is of shape [6, 10]"),
        ("agfn-nlc", {"objective.counted": torch.tensor(-1)}, "no epoch: -1"),
        ("agfn-nlc", {"objective.corrector.noise_rates": torch.full((64,), 1.5)}, "no noise rates"),
        (
            "agfn-nlc",
            {"objective.corrector.memory.labels": torch.full((50,), 3)},
            "labels of other classes",
        ),
        (
            "agfn-nlc",
            {"objective.corrector.memory.labels": torch.full((50,), -1)},
            "labels of other classes",
        ),
        (
            "agfn-nlc",
            {"objective.corrector.memory.targets": torch.zeros(49, 3)},
            "of shape [49, 3]",
        ),
        ("agfn-nlc", {"objective.teacher.n_averaged": None}, "n_averaged is missing"),
    ],
)
def test_what_a_method_keeps_is_held_to_its_shape(tiny, tmp_path, method, tensors, complaint):
    path, state = tmp_path / "c.safetensors", begin(tiny, method)
    train(state, 2)
    save_checkpoint(path, state, tiny)
    load_checkpoint(path, begin(tiny, method), tiny)
    change(path, tensors=tensors)
    assert complaint in complaint_of(path, begin(tiny, method), tiny)


def test_the_best_weights_are_all_there_or_none(saved, tiny):
    state = begin(tiny)
    load_checkpoint(saved, state, tiny)
    assert state.best == {}
    weights = {f"best.{name}": t + 1 for name, t in state.model.state_dict().items()}
    change(saved, tensors=weights)
    load_checkpoint(saved, state, tiny)
    assert all(
        torch.equal(state.best[name.removeprefix("best.")], weights[name]) for name in weights
    )
    change(saved, tensors={"best.classifier.bias": torch.zeros(4)})
    assert "best.classifier.bias is of shape [4]" in complaint_of(saved, begin(tiny), tiny)
    change(saved, tensors={"best.classifier.bias": None})
    assert "best.classifier.bias is missing" in complaint_of(saved, begin(tiny), tiny)


APART = {"optimizer": "adamw", "lr_backbone": 0.1, "schedule": "constant"}


def test_groups_and_an_average_come_back_as_they_were(tiny, tmp_path):
    given = {**APART, "weight_averaging": "ema"}
    state, path = begin(tiny, **given), tmp_path / "c.safetensors"
    train(state, 2)
    save_checkpoint(path, state, tiny)
    again = begin(tiny, **given)
    load_checkpoint(path, again, tiny)
    first, second = (s.descent.optimizers[0].state_dict() for s in (state, again))
    assert first["param_groups"] == second["param_groups"]
    assert [group["lr"] for group in second["param_groups"]] == [0.1, 0.01]
    assert first["state"].keys() == second["state"].keys() == set(range(len(state.descent.weights)))
    for number, values in first["state"].items():
        assert values.keys() == {"exp_avg", "exp_avg_sq", "step"}
        assert all(torch.equal(v, second["state"][number][k]) for k, v in values.items())
    averages = [s.average.state_dict() for s in (state, again)]
    assert all(torch.equal(value, averages[1][name]) for name, value in averages[0].items())
    assert int(again.average.average.n_averaged) == STEPS + 2


@pytest.mark.parametrize(
    ("facts", "tensors", "complaint"),
    [
        ({"optimizers": [[{"lr": 1}], [{"lr": 1}]]}, {}, "optimizer of other groups"),
        (
            {"optimizers": [[{"lr": 1}, {"lr": None}], [{"lr": 1}]]},
            {},
            "optimizer of no learning rate",
        ),
        ({}, {"optimizer.0.0.step": torch.zeros(2)}, "optimizer.0.0.step is of shape [2]"),
        ({}, {"optimizer.0.3.exp_avg": torch.zeros(1)}, "optimizer.0.3.exp_avg is of shape [1]"),
        ({}, {"optimizer.0.3.momentum_buffer": torch.zeros(1)}, "does not belong"),
        ({}, {"average.n_averaged": torch.tensor(-1)}, "an average of -1 weights"),
        ({}, {"average.n_averaged": None}, "average.n_averaged is missing"),
        ({}, {"average.module.classifier.bias": torch.zeros(4)}, "is of shape [4] where"),
        ({}, {"average.other": torch.zeros(4)}, "average.other does not belong"),
    ],
    ids=str,
)
def test_groups_and_averages_that_do_not_fit_are_refused(tiny, tmp_path, facts, tensors, complaint):
    given = {**APART, "weight_averaging": "ema"}
    state, path = begin(tiny, **given), tmp_path / "c.safetensors"
    train(state, 2)
    save_checkpoint(path, state, tiny)
    change(path, facts, tensors)
    assert complaint in complaint_of(path, begin(tiny, **given), tiny)


def test_a_checkpoint_of_one_group_is_not_one_of_two(saved, tiny):
    complaint = complaint_of(saved, begin(tiny, lr_backbone=0.1), tiny)
    assert "optimizer of other groups" in complaint
