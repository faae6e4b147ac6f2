"""Options in a file: the same run again, of this version and of the one before."""

import json
from pathlib import Path
from typing import Any

import pytest

from pyg_agfn.errors import InputError
from pyg_agfn.training import TrainOptions, parse_options
from pyg_agfn.training.saved_options import load_options, read_options

#: As version 0.1 wrote it for digits and ``--recipe paper``, all of it.
OLD: dict[str, Any] = {
    "dataset": "digits",
    "root": None,
    "method": ["baseline", "agfn"],
    "noise": 0.2,
    "noise_file": None,
    "noise_labels": "auto",
    "train_size": None,
    "eval_split": "test",
    "label_mode": "plurality",
    "skip_bad": False,
    "backbone": "small-cnn",
    "image_size": None,
    "resize": "stretch",
    "augment": False,
    "batch_size": 128,
    "epochs": 40,
    "pretrain_epochs": 2,
    "warmup_epochs": 0,
    "samples": 1,
    "alpha": 1.0,
    "beta": 0.0,
    "threshold": 0.5,
    "feature_dim": 512,
    "recipe": "paper",
    "teacher": 0.0,
    "memory": 0,
    "judges": "nobody",
    "correct_at_most": 1.0,
    "heads": "graph",
    "graph_optimizer": "sgd",
    "loss": "cross-entropy",
    "descent": "alternate",
    "lr": 0.05,
    "lr_graph": 0.001,
    "momentum": 0.9,
    "weight_decay": 0.0005,
    "eval_draws": 10,
    "bank_size": 4096,
    "bank_choice": "random",
    "bank_scale": True,
    "graph_span": "global",
    "workers": 2,
    "seed": 3,
    "device": "auto",
    "precision": "fp32",
    "checkpoint_seconds": 30.0,
    "profile": False,
    "out": "runs",
    "cache": None,
}
#: What it wrote for ``--recipe best``.
BEST = {
    "recipe": "best",
    "teacher": 0.99,
    "memory": 4096,
    "judges": "neighbours",
    "correct_at_most": None,
    "heads": "alone",
    "graph_optimizer": "adam",
    "alpha": 8.0,
    "beta": -4.0,
    "lr_graph": 0.02,
}


@pytest.fixture
def write(tmp_path):
    """Writes a configuration; returns its path."""

    def written(content: dict[str, Any] | str) -> Path:
        path = tmp_path / "config.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    return written


def today(method: str) -> TrainOptions:
    """The run of a method that a user starts today."""
    return TrainOptions.for_dataset("digits", method=method, seed=3).for_method(method)


def test_command_line_beats_configuration_beats_data_set(tmp_path):
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"dataset": "mnist", "root": "there", "epochs": 3, "noise": 0.4}))
    options = parse_options(["--config", str(config), "--epochs", "5"])
    assert (options.epochs, options.noise, options.train_size) == (5, 0.4, 10_000)
    assert options.root == Path("there")


def test_a_saved_configuration_gives_the_same_options_again(tmp_path):
    options = TrainOptions.for_dataset("mnist", root=Path("x"), method=("agfn",), alpha=2.0)
    options.save(tmp_path / "config.json")
    assert parse_options(["--config", str(tmp_path / "config.json")]) == options


def test_a_saved_run_of_a_method_is_the_same_again(tmp_path):
    given = {"method": "agfn-nlc", "teacher_decay": 0.5, "label_source": "both", "max_share": 0.2}
    options = TrainOptions.for_dataset("digits", **given).for_method("agfn-nlc")
    options.save(tmp_path / "config.json")
    assert parse_options(["--config", str(tmp_path / "config.json")]) == options
    assert load_options(tmp_path / "config.json").for_method("agfn-nlc") == options


@pytest.mark.parametrize("method", ["baseline", "agfn", "scn"])
def test_an_old_configuration_is_the_same_run_now(write, method):
    config = write({**OLD, "method": [method]})
    assert load_options(config).for_method(method) == today(method)


def test_an_old_configuration_of_the_best_recipe_is_the_run_of_a_method(write):
    options = load_options(write({**OLD, **BEST}))
    assert options.method == ("baseline", "agfn-nlc")
    assert options.for_method("agfn-nlc") == today("agfn-nlc")
    assert load_options(write({**OLD, **BEST, "method": ["agfn"]})) == today("agfn-nlc")


def test_an_old_configuration_of_parts_is_the_run_of_a_method_with_these(write):
    parts = {"method": ["agfn"], "teacher": 0.9, "judges": "teacher"}
    options = load_options(write({**OLD, **parts}))
    assert options == TrainOptions.for_dataset(
        "digits",
        method="agfn-nlc",
        seed=3,
        teacher_decay=0.9,
        memory_size=0,
        label_source="teacher",
        max_share=1.0,
        classifier_inputs="graph",
        graph_optimizer="sgd",
        alpha=1.0,
        beta=0.0,
        lr_graph=0.001,
    )


@pytest.mark.parametrize("recipe", [{}, BEST], ids=["paper", "best"])
@pytest.mark.parametrize("method", ["baseline", "agfn", "agfn-nlc"])
def test_an_old_configuration_says_nothing_of_another_method(write, method, recipe):
    config = write({**OLD, **recipe, "method": ["gce", "agfn"]})
    assert load_options(config, {"method": method}).for_method(method) == today(method)


def test_old_names_are_one_line_together(write, capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["train_pyg.py"])
    config = write({**OLD, **BEST})
    assert parse_options(["--config", str(config)]) == load_options(config)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"train_pyg.py: --config {config}: ")
    for new in ("--teacher-decay", "--memory-size", "--max-share", "--method agfn-nlc"):
        assert new in line
    assert len(read_options(config)[1]) == 6


def test_an_option_by_both_names_is_one_line(write):
    config = write({"teacher": 0.9, "teacher_decay": 0.9})
    with pytest.raises(InputError, match="--teacher is the old name of --teacher-decay") as error:
        load_options(config)
    assert str(error.value).startswith(f"--config {config}: ")


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("{", "JSON"),
        ("[1]", "object"),
        ('{"epoch": 3}', "epoch"),
        ('{"epochs": "three"}', "--epochs"),
        ('{"epochs": true}', "--epochs"),
        ('{"method": ["gat"]}', "--method"),
        ('{"method": 3}', "--method"),
        ('{"augment": "no"}', "--augment"),
        ('{"dataset": 4}', "--dataset"),
        ('{"dataset": []}', "--dataset"),
        ('{"lr": Infinity}', "--lr"),
        ('{"lr": NaN}', "--lr"),
        ('{"seed": 1' + "0" * 400 + "}", "--seed"),
        ('{"out": "\\ud800"}', "--out"),
        ('{"root": "a\\u0000"}', "--root"),
        ('{"image_size": 100000}', "--image-size"),
        ('{"feature_dim": 100000}', "--feature-dim"),
        ("[" * 100_000, "recursion"),
        ('{"root": 4}', "--root"),
    ],
)
def test_a_broken_configuration_is_one_clear_line(tmp_path, content, complaint):
    config = tmp_path / "config.json"
    config.write_text(content)
    with pytest.raises(InputError, match=complaint) as error:
        parse_options(["--config", str(config)])
    assert "\n" not in str(error.value)


def test_a_missing_configuration_is_named(tmp_path):
    with pytest.raises(InputError, match=r"none\.json"):
        parse_options(["--config", str(tmp_path / "none.json")])
