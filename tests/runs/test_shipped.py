"""The models that the package brings are what their cards say."""

import json
import re
from pathlib import Path

import pytest
import torch

from pyg_agfn.datasets import Digits
from pyg_agfn.prediction import classify
from pyg_agfn.runs.folder import load_run
from pyg_agfn.runs.shipped import SHIPPED, run_folder

PACKAGE = Path(__file__).parents[2] / "pyg_agfn"


def test_a_name_is_a_model_if_there_is_no_such_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert (run_folder("digits") / "model.json").is_file()
    assert run_folder("./digits") == Path("digits")
    assert run_folder("other") == Path("other")
    (tmp_path / "digits").symlink_to("nowhere")
    assert run_folder("digits") == Path("digits")


def test_digits_are_classified_as_the_card_says():
    folder = SHIPPED["digits"]
    run, test = load_run(folder), Digits(train=False)
    names = [Path(name) for name in test.names]
    answers = classify(run, names, torch.as_tensor(test.images), num_references=1)
    found = [answer.top(1)[0][0] for answer in answers]
    right = sum(
        name == run.config.classes[label]
        for name, label in zip(found, test.labels.tolist(), strict=True)
    )
    card = (folder / "README.md").read_text("utf-8")
    assert f"({right} of them)" in card
    assert f"{right / len(test):.2%} on the other {len(test)}" in card
    measured = json.loads((folder / "metrics.json").read_text())
    assert measured["accuracy"]["bank"] == pytest.approx(right / len(test))
    assert measured["noise"] == 0
    trained = set(Digits(train=True).names)
    assert run.references is not None
    assert set(run.references.names) <= trained
    assert not trained & set(test.names)
    assert f"{len(run.references.names)} of them are the reference bank" in card


def test_they_are_small_and_have_no_paths_of_the_machine_that_made_them():
    files = [path for path in (PACKAGE / "shipped").rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 1_000_000
    for path in files:
        if path.suffix == ".json":
            assert not re.search(r'"/|\\\\', path.read_text())


def test_they_are_in_the_wheel():
    text = (PACKAGE.parent / "pyproject.toml").read_text()
    assert re.search(r'^pyg_agfn = \[.*"shipped/\*/\*"\]$', text, re.M)
