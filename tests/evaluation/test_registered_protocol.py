"""A protocol that a file outside the package registers is measured, reported and shown."""

import json
import runpy
import sys
from pathlib import Path

import pytest
import torch
from rich.console import Console
from small_run import small_run

from pyg_agfn.errors import InputError, InterruptedRunError
from pyg_agfn.evaluation import (
    EvaluationSettings,
    Protocol,
    evaluate,
    evaluate_protocols,
    standard_protocols,
)
from pyg_agfn.evaluation.report import make_report, protocol_table
from pyg_agfn.evaluation.results_table import results_table
from pyg_agfn.nn import BaselineClassifier
from pyg_agfn.registry import PROTOCOLS, register_protocol
from pyg_agfn.training import train_methods
from pyg_agfn.training.run import resume_run

SCRIPTS = Path(__file__).parents[2] / "scripts"
BUILT_IN = ["bank", "shuffled", "single", "class_sorted"]


class Reversed(Protocol):
    """Batches of the images in reversed order, drawn from a seed for the sake of the seed."""

    good_for = "a test of what a protocol from outside can do"

    def __init__(self, batch_size: int, seed: int) -> None:
        self.batch_size, self.seed = batch_size, seed

    @classmethod
    def from_settings(cls, settings: EvaluationSettings) -> "Reversed":
        return cls(settings.batch_size, settings.seed)

    def logits(self, model, features, labels):
        yield torch.cat([model.head(part) for part in features.flip(0).split(7)]).flip(0)


class OfSettingsUnknown(Protocol):
    def __init__(self, size: int) -> None:
        self.size = size

    def logits(self, model, features, labels):
        yield model.head(features)


def yielding(*values):
    """A protocol that yields these."""

    class Yielding(Protocol):
        def logits(self, model, features, labels):
            for value in values:
                if isinstance(value, Exception):
                    raise value
                yield value

    return Yielding


@pytest.fixture
def registered():
    """Registers a protocol by a name for the time of a test."""
    names = []

    def add(name, protocol):
        register_protocol(name)(protocol)
        names.append(name)

    yield add
    for name in names:
        PROTOCOLS.unregister(name)


@pytest.fixture
def measured():
    """A model without a graph, features of 20 images and their labels."""
    torch.manual_seed(0)
    model = BaselineClassifier(torch.nn.Identity(), 3, num_features=8)
    return model, torch.randn(20, 8), torch.arange(20) % 3


def test_the_built_in_protocols_come_in_order_with_the_headline_first(registered):
    assert list(standard_protocols(EvaluationSettings())) == BUILT_IN
    registered("reversed", Reversed)
    assert list(standard_protocols(EvaluationSettings())) == [*BUILT_IN, "reversed"]


def test_protocols_are_built_from_the_settings(registered):
    registered("reversed", Reversed)
    settings = EvaluationSettings(batch_size=5, draws=3, seed=9)
    protocols = standard_protocols(settings)
    shuffled = protocols["shuffled"]
    assert (shuffled.batch_size, shuffled.draws, shuffled.seed) == (5, 3, 9)
    assert protocols["class_sorted"].batch_size == 5
    assert (protocols["reversed"].batch_size, protocols["reversed"].seed) == (5, 9)


def test_a_registered_protocol_is_in_every_report_of_a_run(
    registered, tmp_path, monkeypatch, capsys
):
    registered("reversed", Reversed)
    console = Console(file=(tmp_path / "screen").open("w"), width=120)
    options = small_run(tmp_path / "runs", method=("baseline",), seed=4)
    (metrics,) = train_methods(options, console)
    console.file.close()
    folder = options.out / "digits-baseline-noise0.2-seed4"
    assert json.loads((folder / "metrics.json").read_text()) == metrics
    assert list(metrics["accuracy"]) == [*BUILT_IN, "reversed"]
    assert metrics["accuracy"]["reversed"] == metrics["accuracy"]["bank"]  # it has no graph
    assert list(metrics["accuracy"]["shuffled"]) == ["mean", "std", "draws"]
    heads = next(
        line for line in (tmp_path / "screen").read_text().splitlines() if "s/epoch" in line
    )
    assert heads.split()[:6] == ["method", "bank", "shuffled", "single", "reversed", "leak"]

    for shape in ("json", "table"):
        command = ["evaluate.py", "--checkpoint", str(folder), "--format", shape]
        monkeypatch.setattr(sys, "argv", command)
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(str(SCRIPTS / "evaluate.py"), run_name="__main__")
        assert ended.value.code == 0
        printed = capsys.readouterr().out
        if shape == "json":
            (report,) = json.loads(printed)
            found = report["protocols"]["reversed"]
            assert found["accuracy"] == metrics["accuracy"]["reversed"]
            assert (found["draws"], found["seed"]) == (1, 4)  # the run's own seed
            assert report["protocols"]["shuffled"]["seed"] == 4
        else:
            assert "reversed" in printed
            assert "from seed 4" in printed


def test_a_run_whose_protocol_fails_is_measured_when_it_is_resumed(registered, tmp_path):
    quiet = Console(quiet=True)
    options = small_run(tmp_path / "runs", method=("baseline",))
    (expected,) = train_methods(options, quiet)
    registered("faulty", yielding(ValueError("no fold")))
    with pytest.raises(InputError, match=r"^protocol 'faulty' of .*: ValueError: no fold$"):
        train_methods(options, quiet)
    PROTOCOLS.unregister("faulty")
    folder = options.out / "digits-baseline-noise0.2-seed0-2"
    assert not (folder / "metrics.json").exists()
    metrics = resume_run(folder, {}, quiet)
    assert metrics["accuracy"] == expected["accuracy"]
    assert metrics["seconds_per_epoch"] > 0


def test_several_draws_are_reported_by_mean_and_deviation(registered, measured):
    right = torch.eye(3)[measured[2]]
    registered("two-draws", yielding(right, right.roll(1, 1)))
    settings = EvaluationSettings(batch_size=5)
    outcome = evaluate_protocols(*measured, settings)["two-draws"]
    assert outcome.as_metric() == {"mean": 0.5, "std": pytest.approx(0.5**0.5), "draws": 2}
    report = make_report("run", ("a", "b", "c"), *measured, settings)
    found = report.as_json()["protocols"]["two-draws"]
    assert (found["accuracy"], found["draws"]) == (0.5, 2)
    assert "batch_size" not in found
    assert "two-draws: 2 draws" in protocol_table(report).caption


@pytest.mark.parametrize(
    ("protocol", "reason"),
    [
        (yielding(torch.zeros(5, 3)), "shape (5, 3), where logits of shape (20, 3)"),
        (yielding(torch.zeros(20, 4)), "shape (20, 4), where logits of shape (20, 3)"),
        (yielding(torch.zeros(20)), "shape (20,), where"),
        (yielding(torch.zeros(20, 3), None), "NoneType, where logits of shape (20, 3)"),
        (yielding(), "yields nothing"),
        (yielding(KeyError("fold")), "KeyError: 'fold'"),
        (yielding(InputError("two\nlines")), r"two\nlines"),
        (OfSettingsUnknown, "missing 1 required positional argument: 'size'"),
        (object, "has no attribute 'from_settings'"),
    ],
)
def test_a_protocol_that_fails_is_named_in_one_line(registered, measured, protocol, reason):
    faulty = type(protocol.__name__, (protocol,), {"__module__": __name__})
    registered("faulty", faulty)
    with pytest.raises(InputError) as caught:
        evaluate_protocols(*measured, EvaluationSettings(batch_size=5))
    assert str(caught.value).startswith(f"protocol 'faulty' of {__name__}: ")
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_signal_that_comes_while_a_protocol_runs_is_no_fault_of_it(registered, measured):
    registered("stopped", yielding(InterruptedRunError("stopped", 143)))
    with pytest.raises(InterruptedRunError, match=r"^stopped$"):
        evaluate_protocols(*measured, EvaluationSettings(batch_size=5))


def test_a_protocol_needs_not_switch_off_training_or_gradients(measured):
    model, features, labels = measured
    modes = []

    class Looks(Protocol):
        def logits(self, model, features, labels):
            modes.append((model.training, torch.is_grad_enabled()))
            yield model.head(features)

    evaluate(Looks(), model.train(), features, labels)
    assert modes == [(False, False)]


METRICS = {
    "dataset": "digits",
    "split": "test",
    "method": "agfn",
    "noise": 0.2,
    "epochs": 30,
    "test_images": 450,
    "accuracy": {
        "bank": 0.9,
        "shuffled": {"mean": 0.8, "std": 0.01, "draws": 10},
        "single": 0.7,
        "class_sorted": 0.95,
    },
    "leak": 0.05,
    "memorized": None,
    "alpha": 8.0,
    "beta": None,
    "seconds_per_epoch": 1.25,
}


def text_of(results) -> list[list[str]]:
    console = Console(width=140)
    with console.capture() as capture:
        console.print(results_table(results))
    return [line.split() for line in capture.get().splitlines()]


def test_the_table_has_a_column_for_each_protocol_and_a_dash_where_it_was_not_measured(registered):
    registered("reversed", Reversed)
    younger = {**METRICS, "accuracy": {**METRICS["accuracy"], "reversed": 0.6}}
    lines = text_of([METRICS, younger])
    heads = ["method", "bank", "shuffled", "single", "reversed", "leak", "memorized"]
    assert [*heads, "α", "β", "s/epoch"] in lines
    older = ["agfn", "90.00", "80.00", "±", "1.00", "70.00", "-", "+5.0", "-", "8.000", "-", "1.2"]
    assert older in lines
    assert [*older[:6], "60.00", *older[7:]] in lines


def test_a_run_without_a_built_in_protocol_is_none():
    accuracy = {name: METRICS["accuracy"][name] for name in ("bank", "shuffled")}
    with pytest.raises(KeyError, match="single"):
        results_table([{**METRICS, "accuracy": accuracy}])


def test_old_runs_of_the_other_recipe_are_called_as_the_method_is_now():
    (row,) = (line for line in text_of([{**METRICS, "recipe": "best"}]) if "90.00" in line)
    assert row[0] == "agfn-nlc"


def test_a_run_without_test_images_has_dashes():
    unmeasured = {**METRICS, "test_images": 0}
    del unmeasured["accuracy"], unmeasured["leak"]
    row = ["agfn", "-", "-", "-", "-", "-", "8.000", "-", "1.2"]
    assert row in text_of([METRICS, unmeasured])
    assert row in text_of([unmeasured])
