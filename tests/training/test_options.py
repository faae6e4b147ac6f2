import json
import os
from pathlib import Path

import numpy as np
import pytest

from pyg_agfn.errors import InputError
from pyg_agfn.training import DATASET_DEFAULTS, TrainOptions, parse_options


def test_without_arguments_baseline_and_agfn_learn_digits_with_wrong_labels():
    options = parse_options([])
    assert (options.dataset, options.noise) == ("digits", 0.2)
    assert options.method == ("baseline", "agfn")


def test_defaults_for_ferplus_are_the_papers():
    options = parse_options(["--dataset", "ferplus", "--root", "data"])
    assert options.backbone == "resnet18"
    assert options.feature_dim == 512
    assert options.batch_size == 256
    assert (options.lr, options.lr_graph) == (0.01, 0.001)
    assert options.pretrain_epochs == 10
    assert options.root == Path("data")


def test_defaults_for_mnist_are_the_papers():
    options = parse_options(["--dataset", "mnist", "--root", "data"])
    assert (options.train_size, options.noise) == (10_000, 0.1)


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


def test_a_recipe_is_under_what_is_given_and_over_the_data_set():
    best = parse_options(["--recipe", "best", "--dataset", "mnist", "--root", "x"])
    assert (best.teacher, best.memory, best.judges, best.heads) == (
        0.99,
        4096,
        "neighbours",
        "alone",
    )
    assert (best.alpha, best.beta, best.graph_optimizer) == (8.0, -4.0, "adam")
    assert (best.lr, best.epochs) == (0.05, 20)  # what all methods share stays
    without = parse_options(["--recipe", "best", "--memory", "0", "--judges", "teacher"])
    assert (without.memory, without.judges, without.teacher) == (0, "teacher", 0.99)
    paper = parse_options(["--recipe", "paper"])
    assert paper == parse_options([])
    assert (paper.teacher, paper.memory, paper.judges, paper.heads) == (0, 0, "nobody", "graph")


def test_a_saved_recipe_is_the_same_again(tmp_path):
    options = TrainOptions.for_dataset("digits", recipe="best", teacher=0.5)
    options.save(tmp_path / "config.json")
    assert parse_options(["--config", str(tmp_path / "config.json")]) == options


def test_data_sets_defaults_are_options():
    for name, defaults in DATASET_DEFAULTS.items():
        TrainOptions.for_dataset(name, root=None if name == "digits" else "x")
        assert set(defaults) <= set(TrainOptions.__dataclass_fields__)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--dataset", "cifar"],
        ["--method", "gat"],
        ["--epochs", "0"],
        ["--epochs", "many"],
        ["--noise", "1.0"],
        ["--noise", "-0.1"],
        ["--noise", "nan"],
        ["--batch-size", "1"],
        ["--samples", "0"],
        ["--backbone", "vgg"],
        ["--loss", "hinge"],
        ["--lr", "-1"],
        ["--seed", "-1"],
        ["--image-size", "2"],
        ["--precision", "fp8"],
        ["--eval-split", "valid"],
        ["--label-mode", "majority"],
        ["--unknown", "1"],
        ["--epoch", "3"],
    ],
)
def test_unknown_options_and_values_are_one_clear_line(arguments):
    with pytest.raises(InputError) as error:
        parse_options(arguments)
    assert arguments[0] in str(error.value)
    assert "\n" not in str(error.value)


def test_every_data_set_but_digits_needs_a_root():
    for dataset in ("mnist", "ferplus", "rafdb", "folder"):
        with pytest.raises(InputError, match="--root"):
            parse_options(["--dataset", dataset])


def test_pretraining_that_is_asked_for_leaves_an_epoch_with_the_graph():
    arguments = ["--dataset", "ferplus", "--root", "x", "--epochs", "4", "--pretrain-epochs", "4"]
    with pytest.raises(InputError, match="--pretrain-epochs 4 leaves none of --epochs 4"):
        parse_options(arguments)


@pytest.mark.parametrize(
    ("epochs", "pretrain_epochs"), [(1, 0), (4, 1), (10, 2), (14, 10), (40, 10), (80, 10)]
)
def test_pretraining_by_default_leaves_epochs_with_the_graph(epochs, pretrain_epochs):
    options = parse_options(["--dataset", "ferplus", "--root", "x", "--epochs", str(epochs)])
    assert options.pretrain_epochs == pretrain_epochs


def test_the_warm_up_leaves_epochs_for_the_fall():
    with pytest.raises(InputError, match="--warmup-epochs must be below --epochs 4, got 4"):
        parse_options(["--epochs", "4", "--warmup-epochs", "4"])


def test_noise_is_said_once():
    with pytest.raises(InputError, match="--noise-file"):
        parse_options(["--noise", "0.1", "--noise-file", "list.txt"])


@pytest.mark.parametrize("dataset", [["digits"], ["mnist", "--root", "x"]])
def test_a_list_takes_the_place_of_the_data_sets_own_noise(dataset):
    options = parse_options(["--dataset", *dataset, "--noise-file", "list.txt"])
    assert (options.noise, options.noise_file) == (0.0, Path("list.txt"))


def test_what_is_given_takes_the_place_of_saved_noise(tmp_path):
    config = tmp_path / "config.json"
    TrainOptions.for_dataset("digits").save(config)
    listed = parse_options(["--config", str(config), "--noise-file", "list.txt"])
    assert (listed.noise, listed.noise_file) == (0.0, Path("list.txt"))
    listed.save(config)
    assert parse_options(["--config", str(config)]) == listed
    for noise in (0.0, 0.3):
        made = parse_options(["--config", str(config), "--noise", str(noise)])
        assert (made.noise, made.noise_file) == (noise, None)


def test_a_recipe_that_is_given_takes_the_place_of_a_saved_one(tmp_path):
    config = tmp_path / "config.json"
    TrainOptions.for_dataset("digits", recipe="best", seed=3).save(config)
    paper = parse_options(["--config", str(config), "--recipe", "paper"])
    assert paper == TrainOptions.for_dataset("digits", seed=3)
    paper.save(config)
    best = parse_options(["--config", str(config), "--recipe", "best", "--alpha", "2"])
    assert best == TrainOptions.for_dataset("digits", recipe="best", seed=3, alpha=2)


def test_another_data_set_takes_over_neither_root_nor_split(tmp_path):
    config = tmp_path / "config.json"
    TrainOptions.for_dataset("ferplus", root="x", label_mode="majority", seed=3).save(config)
    digits = parse_options(["--config", str(config), "--dataset", "digits"])
    assert (digits.root, digits.eval_split, digits.label_mode) == (None, "test", "plurality")
    assert digits.seed == 3
    with pytest.raises(InputError, match="--dataset rafdb needs --root"):
        parse_options(["--config", str(config), "--dataset", "rafdb"])
    config.write_text('{"root": "there"}')
    assert parse_options(["--config", str(config), "--dataset", "mnist"]).root == Path("there")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"method": "agfn"}, {"method": ("agfn",)}),
        ({"method": ["agfn", "gce"]}, {"method": ("agfn", "gce")}),
        ({"method": np.array(["agfn"])}, {"method": ("agfn",)}),
        ({"out": "runs/here"}, {"out": Path("runs/here")}),
        ({"noise_file": os.fspath("l.txt")}, {"noise_file": Path("l.txt")}),
        ({"epochs": np.int64(7)}, {"epochs": 7}),
        ({"lr": np.float32(0.5)}, {"lr": 0.5}),
        ({"lr": np.float64(0.5)}, {"lr": 0.5}),
        ({"augment": np.True_}, {"augment": True}),
    ],
    ids=str,
)
def test_python_may_pass_what_it_has(given, expected, tmp_path):
    options = TrainOptions.for_dataset("digits", **given)
    name, value = next(iter(expected.items()))
    assert (getattr(options, name), type(getattr(options, name))) == (value, type(value))
    options.save(tmp_path / "config.json")
    assert parse_options(["--config", str(tmp_path / "config.json")]) == options


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"method": 3}, "--method must be one of baseline, .*, got 3 (int)"),
        ({"method": b"agfn"}, "got b'agfn' (bytes)"),
        ({"method": ["agfn", "gat"]}, "agfn, got agfn gat"),
        ({"method": []}, "--method must be at least one method, got none"),
        ({"out": 3}, "--out must be a path, got 3 (int)"),
        ({"out": None}, "--out must be a path, got None"),
        ({"epochs": "7"}, "--epochs must be a whole number, got '7' (str)"),
        ({"epochs": 7.5}, "--epochs must be a whole number, got 7.5 (float)"),
        ({"epochs": True}, "--epochs must be a whole number, got True (bool)"),
        ({"lr": [0.1]}, "--lr must be a number, got [0.1] (list)"),
        ({"augment": 1}, "--augment must be true or false, got 1 (int)"),
        ({"backbone": 18}, "--backbone must be text, got 18 (int)"),
    ],
    ids=str,
)
def test_a_value_of_another_type_is_said_with_its_type(given, said):
    with pytest.raises(InputError) as caught:
        TrainOptions(**given)
    first, _, last = said.rpartition(".*")
    assert str(caught.value).startswith(first)
    assert str(caught.value).endswith(last)
    assert "\n" not in str(caught.value)


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


def test_help_names_every_option_and_data_set_defaults(capsys):
    with pytest.raises(SystemExit) as done:
        parse_options(["--help"])
    assert done.value.code == 0
    text = capsys.readouterr().out
    for name in TrainOptions.__dataclass_fields__:
        assert "--" + name.replace("_", "-") in text
    assert "mnist: 10000" in text
