"""Options as a Python user has them: NumPy's numbers, texts for paths, and what is of no use."""

import os
from pathlib import Path

import numpy as np
import pytest

from pyg_agfn.errors import InputError
from pyg_agfn.training import TrainOptions, parse_options


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
        ({"method": 3}, "--method must be text, got 3 (int)"),
        ({"method": b"agfn"}, "got b'agfn' (bytes)"),
        ({"method": ["agfn", "gat"]}, "--method must be one of baseline, .*, got agfn gat"),
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
