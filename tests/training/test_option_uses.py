"""An option that would have no effect is refused, and one that is accepted has its effect."""

import dataclasses
import itertools
import json
from typing import Any

import pytest
import torch
from rich.console import Console

from pyg_agfn.cli import flag_of
from pyg_agfn.errors import InputError
from pyg_agfn.training import TrainOptions, make_fabric, parse_options
from pyg_agfn.training.fit import fit
from pyg_agfn.training.option_uses import USES, refuse_without_effect
from pyg_agfn.training.options import RECIPES, merge_options

BEST = {**RECIPES["best"], "memory": 64}
RUNS = {
    "gce": ("gce", {}),
    "threshold-gcn": ("threshold-gcn", {}),
    "agfn": ("agfn", {}),
    "agfn, best": ("agfn", BEST),
    "agfn, best without memory": ("agfn", {**BEST, "memory": 0, "judges": "teacher"}),
}
#: Another value of each option whose effect depends on the method.
OTHER: dict[str, Any] = {
    "loss": "squared-error",
    "threshold": 0.7,
    "pretrain_epochs": 0,
    "feature_dim": 9,
    "bank_size": 29,
    "bank_choice": "agreement",
    "bank_scale": False,
    "alpha": 2.0,
    "beta": 0.5,
    "samples": 3,
    "teacher": 0.1,  # over few steps larger ones are the same
    "memory": 20,
    "heads": "both",
    "correct_at_most": 0.3,
    "lr_graph": 0.5,
    "descent": "joint",
}


LAST = torch.arange(48, 60)


def train(method: str, train_set, test_set, **given: Any) -> list[torch.Tensor]:
    """Weights and answers of a short run; the class itself takes options as they are."""
    small = {"batch_size": 12, "epochs": 2, "pretrain_epochs": 1, "feature_dim": 8, "lr": 0.05}
    small |= {"eval_draws": 1, "bank_size": 30, "backbone": "small-cnn", "lr_graph": 1.0}
    options = TrainOptions(method=method, device="cpu", **{**small, **given})
    console = Console(quiet=True)
    trained = fit(make_fabric(options), options, options.method[0], train_set, test_set, console)
    return [*trained.model.state_dict().values(), trained.answers.logits]


@pytest.mark.parametrize("run", RUNS)
def test_the_table_says_which_options_change_a_run(run, tiny):
    method, parts = RUNS[run]
    noisy, test = tiny.subset(torch.arange(36)).with_noise(0.2, seed=0), tiny.subset(LAST)
    usual = train(method, noisy, test, **parts)
    for name, value in OTHER.items():
        given = {**parts, name: value}
        changed = train(method, noisy, test, **given)
        same = len(usual) == len(changed) and all(map(torch.equal, usual, changed))
        options = TrainOptions(method=method, **given)
        assert all(use.holds(options) for use in USES[name]) != same, name


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("--method baseline --recipe best", "--recipe has no effect with --method baseline"),
        ("--method baseline --alpha 7", "--alpha has no effect with --method baseline"),
        ("--method gce scn --memory 9", "--memory has no effect with --method gce scn"),
        ("--method gce --loss squared-error", "--loss has no effect with --method gce"),
        ("--method agfn --threshold 0.2", "add threshold-gcn to --method"),
        ("--method agfn --recipe best --samples 4", "--samples has no effect with --heads alone"),
        ("--method agfn --recipe best --descent joint", "--descent has no effect with --recipe"),
        ("--correct-at-most 0.2", "--correct-at-most has no effect with --judges nobody"),
        ("--dataset digits --root /nope", "--root has no effect with --dataset digits"),
        ("--dataset mnist --root x --cache y", "--cache has no effect with --dataset mnist"),
        ("--dataset digits --skip-bad", "which has no rows or images to leave out"),
        ("--dataset rafdb --root x --label-mode plurality", "--label-mode has no effect"),
        ("--graph-span local", "--graph-span has no effect in one process"),
    ],
)
def test_an_option_without_effect_is_one_line_with_the_way_out(typed, said):
    with pytest.raises(InputError, match="leave it out, or ") as caught:
        parse_options(typed.split())
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "typed",
    [
        "--method baseline agfn --recipe best",
        "--method gce baseline --loss squared-error",
        "--dataset digits --noise-file list.txt --skip-bad",
        "--method agfn --judges teacher --correct-at-most 0.2",
        "--workers 8 --device auto --no-augment",
    ],
)
def test_an_option_that_one_of_the_methods_uses_is_heard(typed):
    parse_options(typed.split())


def test_python_is_told_the_same():
    with pytest.raises(InputError, match="--alpha has no effect with --method baseline"):
        TrainOptions.for_dataset("digits", method="baseline", alpha=7)
    assert TrainOptions.for_dataset("digits", root=None).root is None


def test_of_several_runs_one_that_uses_an_option_is_enough():
    runs = [TrainOptions(method=method) for method in ("baseline", "gce", "agfn")]
    refuse_without_effect(runs, ["alpha", "loss"])
    with pytest.raises(InputError, match="--alpha has no effect with --method baseline"):
        refuse_without_effect(runs[:2], ["loss", "alpha"])


def test_several_processes_have_a_span(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert parse_options(["--graph-span", "local"]).graph_span == "local"


def test_a_saved_configuration_may_hold_options_of_other_methods(tmp_path):
    config = tmp_path / "config.json"
    both = TrainOptions.for_dataset("digits", recipe="best", method=["baseline", "agfn"])
    alone = parse_options(["--method", "baseline"])
    for options in (both, alone):
        options.save(config)
        assert parse_options(["--config", str(config)]) == options
        again = parse_options(["--config", str(config), "--method", "baseline"])
        assert again.method == ("baseline",)


#: Some values of every option; by twos they are every pair of options.
VALUES: dict[str, tuple[Any, ...]] = {
    **{field.name: (field.default,) for field in dataclasses.fields(TrainOptions)},
    "dataset": ("digits", "mnist", "ferplus", "rafdb", "folder"),
    "root": ("photos",),
    "plugin": (["my_module"],),
    "method": ("baseline", "gce", "threshold-gcn", ["agfn"]),
    "noise": (0.0, 0.3),
    "noise_file": ("list.txt",),
    "train_size": (100,),
    "eval_split": ("valid", "test"),
    "label_mode": ("majority",),
    "skip_bad": (True,),
    "backbone": ("resnet34",),
    "image_size": (32,),
    "augment": (True, False),
    "batch_size": (32,),
    "epochs": (1, 3, 90),
    "pretrain_epochs": (0, 5, 50),
    "warmup_epochs": (1, 50),
    "recipe": ("paper", "best"),
    "judges": ("nobody", "teacher", "both"),
    "correct_at_most": (0.3, None),
    "heads": ("graph", "alone"),
    "graph_optimizer": ("adam",),
    "graph_span": ("local",),
    "seed": (3,),
    "device": ("cpu",),
    "precision": ("bf16",),
    "profile": (True,),
    "out": ("there",),
    "cache": ("here",),
    **{name: (value,) for name, value in OTHER.items() if name not in ("heads", "correct_at_most")},
    "memory": (0, 20),
    "teacher": (0.0, 0.5),
}


def merged(given: dict[str, Any]) -> TrainOptions | str:
    """The options, or why they are refused."""
    try:
        return merge_options(given)
    except InputError as error:
        return str(error)


def test_every_pair_of_options_is_heard_or_refused_by_name():
    settings = [(name, value) for name, values in VALUES.items() for value in values]
    for pair in itertools.combinations(settings, 2):
        given = dict(pair)
        if len(given) < 2:
            continue
        options = merged(given)
        if isinstance(options, str):
            assert any(flag_of(name) in options for name in given), (given, options)
            assert "\n" not in options
        else:
            heard = json.loads(json.dumps({n: getattr(options, n) for n in given}, default=str))
            if isinstance(given.get("method"), str):
                given["method"] = [given["method"]]
            assert heard == given
            assert options.defaulted == set(VALUES) - given.keys()
