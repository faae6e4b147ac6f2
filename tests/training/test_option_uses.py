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
from pyg_agfn.registry import METHODS
from pyg_agfn.training import Trainer, TrainOptions, parse_options
from pyg_agfn.training.merge_options import merge_options
from pyg_agfn.training.option_uses import USES, refuse_without_effect

NLC = {**METHODS["agfn-nlc"].defaults, "memory_size": 64}
RUNS = {
    "gce": ("gce", {}),
    "threshold-gcn": ("threshold-gcn", {}),
    "agfn": ("agfn", {}),
    "agfn by edges": ("agfn", {"propagation": "edges"}),
    "agfn-nlc": ("agfn-nlc", NLC),
    "agfn-nlc over the graph, by edges": (
        "agfn-nlc",
        {**NLC, "classifier_inputs": "graph", "propagation": "edges"},
    ),
    "agfn-nlc without memory": (
        "agfn-nlc",
        {**NLC, "memory_size": 0, "label_source": "teacher"},
    ),
    "agfn-nlc as the paper, by edges": (
        "agfn-nlc",
        {
            **NLC,
            "memory_size": 0,
            "label_source": "teacher",
            "classifier_inputs": "graph",
            "propagation": "edges",
        },
    ),
}
#: Another value of each option whose effect depends on the method; of two, the one that is another.
OTHER: dict[str, tuple[Any, ...]] = {
    "loss": ("squared-error",),
    "threshold": (0.7,),
    "pretrain_epochs": (0,),
    "feature_dim": (9,),
    "bank_size": (29,),
    "bank_choice": ("agreement",),
    "bank_scale": (False,),
    "alpha": (2.0,),
    "beta": (0.5,),
    "samples": (3,),
    "teacher_decay": (0.1,),  # over few steps larger ones are the same
    "memory_size": (20,),
    "label_source": ("given",),
    "classifier_inputs": ("both",),
    "max_share": (0.3,),
    "lr_graph": (0.5,),
    "graph_optimizer": ("adam", "sgd"),
    "graph_gradient": ("sampled",),
    "descent": ("joint",),
}
#: Options whose effect depends on the method, and that change no value of it.
SAME_VALUES = {"graph_span", "propagation"}


LAST = torch.arange(48, 60)


def train(method: str, train_set, test_set, **given: Any) -> list[torch.Tensor]:
    """Weights and answers of a short run; the class itself takes options as they are."""
    small = {"batch_size": 12, "epochs": 2, "pretrain_epochs": 1, "feature_dim": 8, "lr": 0.05}
    small |= {"eval_draws": 1, "bank_size": 30, "backbone": "small-cnn", "lr_graph": 1.0}
    options = TrainOptions(method=method, device="cpu", **{**small, **given})
    trainer = Trainer.from_options(options, Console(quiet=True))
    result = trainer.fit(train_set, test_set)
    return [*result.model.state_dict().values(), result.answers.logits]


@pytest.fixture
def images(tiny):
    """Some with wrong labels to train on, and others to measure on."""
    return tiny.subset(torch.arange(36)).with_noise(0.2, seed=0), tiny.subset(LAST)


def test_the_table_has_every_option_of_a_method():
    of_methods = {name for method in METHODS for name in METHODS[method].options}
    assert of_methods <= USES.keys()
    assert of_methods | {"loss"} == OTHER.keys() | SAME_VALUES


@pytest.mark.slow
@pytest.mark.parametrize("run", RUNS)
def test_the_table_says_which_options_change_a_run(run, images):
    method, parts = RUNS[run]
    usual = train(method, *images, **parts)
    for name, values in OTHER.items():
        default = getattr(TrainOptions, name)
        value = next(value for value in values if value != parts.get(name, default))
        given = {**parts, name: value}
        changed = train(method, *images, **given)
        same = len(usual) == len(changed) and all(map(torch.equal, usual, changed))
        options = TrainOptions(method=method, **given)
        assert all(use.holds(options) for use in USES[name]) != same, name


@pytest.mark.parametrize("run", RUNS)
def test_a_way_of_propagation_changes_no_value_beyond_rounding(run, images):
    method, parts = RUNS[run]
    dense = train(method, *images, **{**parts, "propagation": "dense"})
    for propagation in ("edges", "tiles"):
        given = {**parts, "propagation": propagation}
        for value, expected in zip(train(method, *images, **given), dense, strict=True):
            torch.testing.assert_close(value, expected, rtol=1e-3, atol=1e-4)
        options = TrainOptions(method=method, **given)
        joins = METHODS[method].joins_images
        assert all(use.holds(options) for use in USES["propagation"]) == joins


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("--method baseline --alpha 7", "--alpha has no effect with --method baseline"),
        ("--method gce agfn --memory-size 9", "--memory-size has no effect with --method gce agfn"),
        ("--method scn --lr-graph 7", "leave it out, or add agfn or agfn-nlc to --method"),
        ("--method gce --loss squared-error", "--loss has no effect with --method gce"),
        ("--method agfn --threshold 0.2", "leave it out, or add threshold-gcn to --method"),
        ("--method agfn-nlc --samples 4", "--samples has no effect with agfn-nlc, which draws no"),
        ("--method agfn-nlc --descent joint", "--descent has no effect with --method agfn-nlc"),
        ("--max-share 0.2 --label-source given", "--max-share has no effect with label_source 'gi"),
        ("--method scn --propagation edges", "--propagation has no effect with --method scn, whi"),
        ("--graph-gradient sampled", "--graph-gradient has no effect with --propagation dense, or"),
        (
            "--method threshold-gcn --propagation edges --graph-gradient sampled",
            "--graph-gradient has no effect with --method threshold-gcn, which does not take it",
        ),
        (
            "--method agfn-nlc --memory-size 0 --label-source teacher --lr-graph 1",
            "--lr-graph has no effect with --memory-size 0, where alpha and beta rest",
        ),
        ("--dataset digits --root /nope", "--root has no effect with --dataset digits"),
        ("--dataset mnist --root x --cache y", "--cache has no effect with --dataset mnist"),
        ("--dataset digits --skip-bad", "which has no rows or images to leave out"),
        ("--dataset rafdb --root x --label-mode plurality", "--label-mode has no effect"),
        ("--dataset rafdb --root x --targets labels", "--targets has no effect with --dataset raf"),
        ("--noise 0 --noise-kind pair", "--noise-kind has no effect without --noise"),
        ("--noise-file list.txt --noise-kind pair", "--noise-kind has no effect without --noise"),
        ("--graph-span local", "--graph-span has no effect in one process"),
        (
            "--optimizer adam --momentum 0.5",
            "--momentum has no effect with --optimizer adam, whose",
        ),
        (
            "--milestones 3 5",
            "--milestones has no effect with --schedule cosine: leave it out, or ",
        ),
        ("--gamma 0.5 --schedule constant", "--gamma has no effect with --schedule constant"),
        ("--ema-decay 0.9 --weight-averaging swa", "--ema-decay has no effect with --weight-avera"),
        (
            "--method agfn-nlc --weight-averaging ema",
            "--weight-averaging has no effect with agfn-n",
        ),
        ("--method gce label-smoothing --balance loss", "or choose --balance sampler"),
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
        "--method baseline agfn --alpha 2 --samples 2",
        "--propagation edges --graph-gradient sampled",
        "--memory-size 100 --teacher-decay 0.5",
        "--method gce baseline --loss squared-error",
        "--dataset digits --noise-file list.txt --skip-bad",
        "--method agfn-nlc --label-source teacher --max-share 0.2",
        "--workers 8 --device auto --no-augment",
        "--optimizer adamw --weight-decay 0.1 --lr-backbone 0.0001 --freeze-epochs 2",
        "--schedule step --milestones 3 5 --gamma 0.5",
        "--schedule exponential --gamma 0.8",
        "--weight-averaging ema --ema-decay 0.9",
        "--method agfn-nlc --teacher-decay 0 --weight-averaging swa",
        "--method gce --balance sampler",
        "--method gce baseline --balance loss",
        "--val-fraction 0.1 --keep best",
        "--dataset mnist --root x --noise-kind instance",
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
    both = TrainOptions.for_dataset("digits", memory_size=9, method=["baseline", "agfn-nlc"])
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
    "method": ("baseline", "gce", "threshold-gcn", ["agfn"], "agfn-nlc"),
    "noise": (0.0, 0.3),
    "noise_file": ("list.txt",),
    "train_size": (100,),
    "eval_split": ("valid", "test"),
    "label_mode": ("majority", "official-majority"),
    "targets": ("votes",),
    "noise_kind": ("pair", "instance"),
    "skip_bad": (True,),
    "backbone": ("resnet34",),
    "backbone_arg": (["zero_init_residual=true"],),
    "weights": ("weights.safetensors",),
    "input_mean": ([0.5],),
    "input_std": ([0.2, 0.3, 0.4],),
    "input_range": (255,),
    "input_order": ("bgr",),
    "input_channels": (3,),
    "image_size": (32,),
    "augment": (True, False),
    "batch_size": (32,),
    "epochs": (1, 3, 90),
    "pretrain_epochs": (0, 5, 50),
    "warmup_epochs": (1, 50),
    "graph_span": ("local",),
    "seed": (3,),
    "device": ("cpu",),
    "precision": ("bf16",),
    "profile": (True,),
    "out": ("there",),
    "cache": ("here",),
    **OTHER,
    "propagation": ("edges", "tiles"),
    "memory_size": (0, 20),
    "teacher_decay": (0.0, 0.5),
    "label_source": ("given", "teacher", "both"),
    "max_share": (0.3,),
    "classifier_inputs": ("graph", "single"),
    "optimizer": ("adam", "adamw"),
    "lr": (0.3,),
    "momentum": (0.5,),
    "lr_backbone": (0.001,),
    "freeze_epochs": (1, 50),
    "schedule": ("step", "exponential", "constant"),
    "milestones": ([2, 30],),
    "gamma": (0.5,),
    "weight_averaging": ("ema", "swa"),
    "ema_decay": (0.9,),
    "balance": ("sampler", "loss"),
    "compile": ("on", "off"),
    "val_fraction": (0.2,),
    "keep": ("last", "best"),
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
