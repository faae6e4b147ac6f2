"""What is typed, what is given, and what the help says."""

import dataclasses
import json
import re
from pathlib import Path

import pytest

from pyg_agfn.errors import InputError
from pyg_agfn.training.command_line import GROUPS, OptionParser, parse_given, parse_options
from pyg_agfn.training.options import TrainOptions
from pyg_agfn.training.renamed_options import RENAMED
from pyg_agfn.training.saved_options import load_options


def test_only_what_is_typed_is_given():
    assert parse_given([]) == {}
    defaults = TrainOptions()
    typed = ["--epochs", str(defaults.epochs), "--augment", "--method", *defaults.method]
    assert parse_given(typed) == {
        "epochs": defaults.epochs,
        "augment": True,
        "method": defaults.method,
    }


def test_values_have_the_types_of_their_fields():
    typed = "--root a --lr 1e-3 --no-bank-scale --method agfn scn --seed -3 --device 1"
    assert parse_given(typed.split()) == {
        "root": Path("a"),
        "lr": 0.001,
        "bank_scale": False,
        "method": ("agfn", "scn"),
        "seed": -3,
        "device": "1",
    }


@pytest.mark.parametrize(
    "name", ["#x", "null", "~", "[a]", "{a: 1}", "a: b", "1e3", "\udce9", "a=b"]
)
def test_any_name_is_a_path(name):
    assert parse_given(["--root", name, "--config", name]) == {
        "root": Path(name),
        "config": Path(name),
    }


@pytest.mark.parametrize(
    ("typed", "line"),
    [
        ("--epochs x", "--epochs must be a whole number, got x (--help lists the options)"),
        ("--epochs 1.5", "--epochs must be a whole number, got 1.5 (--help lists the options)"),
        ("--train-size x", "--train-size must be a whole number, got x (--help lists the"),
        ("--lr inf", "--lr must be a number, got inf (--help lists the options)"),
        ("--lr", "argument --lr: expected one argument (--help lists the options)"),
        ("--method agfm", "argument --method: invalid choice: 'agfm' (choose from"),
        ("--epoch 3", "unrecognized arguments: --epoch 3 (--help lists the options)"),
        ("photos", "unrecognized arguments: photos (--help lists the options)"),
    ],
)
def test_an_error_is_one_line_that_names_the_option(typed, line):
    with pytest.raises(InputError) as error:
        parse_given(typed.split())
    assert str(error.value).startswith(line)
    assert "\n" not in str(error.value)


def test_the_help_has_every_option_under_its_heading():
    sections = re.split(r"^(\w+):$", OptionParser().format_help(), flags=re.M)
    of_group = dict(zip(sections[1::2], sections[2::2], strict=True))
    assert list(of_group) == ["options", *GROUPS]
    for spec in dataclasses.fields(TrainOptions):
        flag = "--" + spec.name.replace("_", "-")
        shown = re.search(rf"^  {flag}\b", of_group[spec.metadata["group"]], re.M) is not None
        assert shown != spec.metadata.get("hidden", False), flag


def test_the_help_has_the_defaults_of_each_data_set():
    text = " ".join(OptionParser().format_help().split())
    assert "mnist: 10000" in text
    assert "(default: 256; digits: 128)" in text


@pytest.mark.parametrize("title", GROUPS)
def test_the_example_of_a_group_is_of_its_options(title):
    given = parse_given(GROUPS[title].split())
    groups = {spec.name: spec.metadata["group"] for spec in dataclasses.fields(TrainOptions)}
    assert {groups[name] for name in given} == {title}


def test_what_is_hidden_is_taken_and_not_listed():
    assert parse_given(["--max-share", "0.1"]) == {"max_share": 0.1}
    assert "--max-share" not in OptionParser().format_help()


def test_an_old_flag_works_and_is_a_line_on_stderr(capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["scripts/train_pyg.py"])
    typed = ["--recipe", "best", "--memory", "9", "--judges", "neighbours"]
    given = parse_given(typed)
    assert given == {
        "method": ("baseline", "agfn-nlc"),
        "memory_size": 9,
        "label_source": "neighbors",
    }
    assert capsys.readouterr().err.splitlines() == [
        "train_pyg.py: --memory is now --memory-size",
        "train_pyg.py: --judges neighbours is now --label-source neighbors",
        "train_pyg.py: --recipe best is now --method agfn-nlc",
    ]


def test_old_flags_are_checked_and_not_listed():
    with pytest.raises(InputError, match="--memory"):
        parse_given(["--memory", "many"])
    text = OptionParser().format_help()
    assert not [name for name in RENAMED if f"--{name.replace('_', '-')} " in text]


def test_old_names_in_a_configuration_are_one_line(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr("sys.argv", ["train_pyg.py"])
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"method": ["agfn"], "teacher": 0.5, "memory": 9}))
    options = parse_options(["--config", str(config)])
    assert (options.method, options.teacher_decay, options.memory_size) == (("agfn-nlc",), 0.5, 9)
    assert capsys.readouterr().err.splitlines() == [
        f"train_pyg.py: --config {config}: --teacher is now --teacher-decay; --memory is now "
        "--memory-size; --method agfn with corrected labels is now --method agfn-nlc"
    ]
    assert load_options(config) == options
    assert capsys.readouterr().err == ""
