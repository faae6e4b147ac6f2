"""Records of a results file from an untrusted source."""

from pathlib import Path

import pytest
import torch

from pyg_agfn.errors import InputError
from pyg_agfn.reproduction.grid import cell_name, settings
from pyg_agfn.reproduction.render import render
from pyg_agfn.reproduction.results_file import ResultsFile, check_record, pack
from pyg_agfn.training import TrainOptions


def record(**changes) -> dict:
    options = TrainOptions.for_dataset("mnist", root=Path(), method=("agfn",))
    metrics = {
        "accuracy": {"shuffled": {"mean": 0.9}},
        "leak": 0.1,
        "memorized": None,
        "seconds_per_epoch": 1.0,
        "test_images": 9,
    }
    good = {"cell": cell_name(options), "settings": settings(options), "metrics": metrics}
    return {**good, "correct": pack(torch.ones(9) > 0), **changes}


def with_setting(**changes) -> dict:
    return record(settings={**record()["settings"], **changes})


def with_metric(**changes) -> dict:
    return record(metrics={**record()["metrics"], **changes})


def test_a_good_one_passes():
    check_record(record())
    check_record(with_setting(an_option_of_a_later_version=[1]))
    check_record({"cell": "x", "settings": record()["settings"], "error": "no number"})


@pytest.mark.parametrize(
    "bad",
    [
        record(settings=None),
        record(settings={}),
        record(settings=[["dataset", "mnist"]]),
        with_setting(dataset=["mnist"]),
        with_setting(method="gat"),
        with_setting(method=[]),
        with_setting(noise="0.1"),
        with_setting(backbone={}),
        with_setting(seed=-1),
        with_setting(batch_size=10**400),
        record(correct=5),
        record(correct="A"),
        record(correct=""),
        record(metrics=None),
        with_metric(test_images=10**12),  # as many bytes would be unpacked
        with_metric(test_images=0),
        with_metric(test_images=9.0),
        with_metric(leak="0"),
        with_metric(leak=float("nan")),
        with_metric(accuracy=0.9),
        with_metric(memorized="x"),
        with_metric(seconds_per_epoch=None),
        record(images="9"),
    ],
    ids=range(23),
)
def test_a_bad_one_is_one_line(bad):
    with pytest.raises(InputError, match=r"the record of .* is not that of a run") as caught:
        check_record(bad)
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="is not that of a run"):
        render("figure-4", [bad], "mnist")


def test_seeds_of_different_images_are_one_line():
    other = with_setting(seed=1)
    other["metrics"] = {**other["metrics"], "test_images": 8}
    other["correct"] = pack(torch.ones(8) > 0)
    with pytest.raises(InputError, match="different numbers of images"):
        render("table-2", [record(), other], "mnist")


@pytest.mark.parametrize("line", [b"[" * 99_999, b'"x"', b"\xff\xfe", b'{"cell": 3}', b"NaN"])
def test_lines_that_are_no_record_are_passed_over(tmp_path, line):
    (tmp_path / "results.jsonl").write_bytes(line + b'\n{"cell": "a", "settings": {}}\n')
    assert [found["cell"] for found in ResultsFile(tmp_path / "results.jsonl").records()] == ["a"]


def test_a_file_that_is_none_is_one_line(tmp_path):
    with pytest.raises(InputError, match="is no file"):
        ResultsFile(tmp_path).records()
    (tmp_path / "results.jsonl").write_text('{"cell": "a", "settings": {}, "subset": []}')
    with pytest.raises(InputError, match=r"row 1: subset must be a name"):
        ResultsFile(tmp_path / "results.jsonl").records()
