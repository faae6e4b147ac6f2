import dataclasses
import io
import json
import os
import pickle
import re
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from filelock import FileLock
from rich.console import Console
from small_ferplus import write_ferplus

from pyg_agfn.errors import InputError
from pyg_agfn.reproduction import run_grid as module
from pyg_agfn.reproduction.grid import cell_name, grid
from pyg_agfn.reproduction.other_splits import measure_split
from pyg_agfn.reproduction.results_file import ResultsFile, unpack
from pyg_agfn.reproduction.run_grid import measure_subset, read_subsets, run_grid
from pyg_agfn.runs.folder import load_answers


@pytest.fixture
def console():
    return Console(record=True, quiet=True, width=200)


@pytest.fixture
def trained(monkeypatch) -> list[str]:
    """Names of the runs that were trained."""
    names = []
    train_method = module.train_method

    def count(options, *arguments):
        names.append(cell_name(options))
        return train_method(options, *arguments)

    monkeypatch.setattr(module, "train_method", count)
    return names


def test_each_cell_is_trained_once_and_recorded(base, trained, console):
    cells = grid("figure-5", base, ("baseline", "agfn"), [0])
    results = ResultsFile(base.out / "results.jsonl")
    assert run_grid(cells, base.out, results, console) == []
    assert trained == [cell_name(c) for c in cells]
    assert run_grid(cells, base.out, results, console) == []
    assert len(trained) == 2
    for options, record in zip(cells, results.records(), strict=True):
        answers = load_answers(base.out / record["cell"])
        assert record["cell"] == cell_name(options)
        assert record["settings"]["method"] == list(options.method)
        correct = unpack(record["correct"], record["metrics"]["test_images"])
        assert torch.equal(correct, answers.correct)
        accuracy = record["metrics"]["accuracy"]["bank"]
        assert float(correct.double().mean()) == pytest.approx(accuracy)


def test_what_was_killed_resumes_where_it_was(base, trained, console):
    cells = grid("figure-5", base, ("baseline", "agfn"), [0])
    results = ResultsFile(base.out / "results.jsonl")
    run_grid(cells, base.out, results, console)
    first, second = (base.out / cell_name(c) for c in cells)
    results.path.unlink()  # as if killed before the line was written
    (second / "metrics.json").unlink()  # and the second one while it trained
    (second / "config.json").write_text("{")  # whose folder holds an unknown file
    (second / "leftover").write_text("")
    run_grid(cells, base.out, results, console)
    assert trained == [first.name, second.name, second.name]
    assert not (second / "leftover").exists()
    assert all(results.has(options) for options in cells)


@pytest.mark.slow
def test_a_process_that_is_killed_leaves_a_grid_that_can_be_finished(base, tmp_path):
    long = dataclasses.replace(base, epochs=20, checkpoint_seconds=0.0)
    cells = grid("figure-5", long, ("baseline",), [0])
    code = (
        "import pickle, sys; from pathlib import Path; from rich.console import Console\n"
        "from pyg_agfn.reproduction.results_file import ResultsFile\n"
        "from pyg_agfn.reproduction.run_grid import run_grid\n"
        "cells = pickle.load(open(sys.argv[1], 'rb')); out = cells[0].out\n"
        "run_grid(cells, out, ResultsFile(out / 'results.jsonl'), Console(quiet=True))\n"
    )
    (tmp_path / "cells").write_bytes(pickle.dumps(cells))
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "cells")])
    log = base.out / cell_name(cells[0]) / "log" / "metrics.csv"
    deadline = time.monotonic() + 60
    while not log.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    assert log.exists()
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    results = ResultsFile(base.out / "results.jsonl")
    assert not results.has(cells[0])
    assert (log.parent.parent / "checkpoint.safetensors").exists()
    screen = io.StringIO()
    assert run_grid(cells, base.out, results, Console(file=screen, width=200)) == []
    assert results.has(cells[0])
    assert "baseline: resumes in epoch" in screen.getvalue()


def test_a_cell_that_another_process_trains_is_left_to_it(base, trained, console):
    cells = grid("figure-5", base, ("baseline", "agfn"), [0])
    results = ResultsFile(base.out / "results.jsonl")
    (base.out / "locks").mkdir(parents=True)
    with FileLock(base.out / "locks" / f"{cell_name(cells[0])}.lock"):
        assert run_grid(cells, base.out, results, console) == []
    assert trained == [cell_name(cells[1])]


def test_a_run_that_fails_is_recorded_and_the_grid_continues(base, monkeypatch, console):
    cells = grid("figure-5", base, ("baseline", "agfn"), [0])
    results = ResultsFile(base.out / "results.jsonl")
    train_method = module.train_method

    def fail_first(options, *arguments):
        if options.method == ("baseline",):
            raise InputError("baseline: the loss is nan")
        return train_method(options, *arguments)

    monkeypatch.setattr(module, "train_method", fail_first)
    assert run_grid(cells, base.out, results, console) == [cell_name(cells[0])]
    assert results.records()[0]["error"] == "baseline: the loss is nan"
    assert results.has(cells[1])
    monkeypatch.setattr(module, "train_method", train_method)
    assert run_grid(cells, base.out, results, console) == []  # it is tried again
    assert results.has(cells[0])


def test_a_folder_that_cannot_be_made_is_one_line(base, console, tmp_path):
    (tmp_path / "file").write_text("")
    cells = grid("figure-5", base, ("baseline",), [0])
    with pytest.raises(InputError, match=r"--out .*file: .*choose another"):
        run_grid(cells, tmp_path / "file", ResultsFile(tmp_path / "r.jsonl"), console)


@pytest.fixture
def faces(tmp_path):
    """FERPlus in its official layout: 24 training and 16 test images."""
    rng = np.random.default_rng(0)
    for folder, n in (("FER2013Train", 24), ("FER2013Test", 16)):
        pixels = rng.integers(0, 99, (n, 48, 48), dtype=np.uint8)
        votes = []
        for i in range(n):
            label = i % 8
            pixels[i, 6 * label : 6 * label + 6] += 150
            votes.append([10 * (k == label) for k in range(10)])
        write_ferplus(tmp_path / "fer" / folder, pixels, votes, first=32000)
    return tmp_path / "fer"


def test_the_images_of_a_list_are_measured_on_the_runs_there_are(faces, base, console, tmp_path):
    options = dataclasses.replace(
        base,
        dataset="ferplus",
        root=faces,
        eval_split="test",
        train_size=None,
        noise=0.0,
        batch_size=8,
        image_size=12,
    )
    cells = grid("table-3", options, ("baseline", "agfn"), [0])
    results = ResultsFile(options.out / "results.jsonl")
    run_grid(cells, options.out, results, console)
    listed = tmp_path / "occlusion.txt"
    lines = ["0_fer0032000.png 8 1", "3_fer0032003.png 8 0", "5_fer0032009.png 8 2"]
    listed.write_text("\n".join([*lines, "2_fer0039999.png 8 2"]))
    spoken = Console(record=True, width=200)
    (subset,) = read_subsets([listed], options, spoken)
    measure_subset(cells, subset, results)
    text = spoken.export_text()
    assert "3 of 4 images are in the test split; 1 have another label in the list" in text
    subsets = [record for record in results.records() if "subset" in record]
    assert [record["cell"] for record in subsets] == [cell_name(c) for c in cells]
    for record in subsets:
        correct = load_answers(options.out / record["cell"]).correct[[0, 3, 9]]
        assert record["images"] == 3
        assert record["accuracy"] == pytest.approx(float(correct.double().mean()))
        assert torch.equal(unpack(record["correct"], 3), correct)

    listed.write_text("0/fer0099999.jpg\n")
    with pytest.raises(InputError, match=re.escape("none of its 1 images is among the 16 test")):
        read_subsets([listed], options, console)
    with pytest.raises(InputError, match="another list is called occlusion"):
        read_subsets([listed, tmp_path / "other" / "occlusion.txt"], options, console)


def test_runs_are_measured_on_another_split_without_training(faces, base, console, monkeypatch):
    (faces / "FER2013Test").rename(faces / "FER2013Valid")
    size = {"train_size": None, "noise": 0.0, "batch_size": 8, "image_size": 12}
    valid = dataclasses.replace(base, dataset="ferplus", root=faces, eval_split="valid", **size)
    results = ResultsFile(base.out / "results.jsonl")
    run_grid(grid("table-1", valid, ("baseline", "agfn"), [0]), base.out, results, console)
    wanted = {record["settings"]["method"][0]: record for record in results.records()}

    shutil.copytree(faces / "FER2013Valid", faces / "FER2013Test")
    cells = grid("table-1", valid.changed(eval_split="test"), ("baseline", "agfn"), [0])
    run_grid(cells, base.out, results, console)
    monkeypatch.setattr(module, "train_method", None)
    for _ in range(2):  # the second call finds what the first one measured
        measure_split(cells, "valid", base.out, results)
    found = [record for record in results.records() if "subset" in record]
    assert [record["cell"] for record in found] == [cell_name(c) for c in cells]
    for record in found:
        expected = wanted[record["settings"]["method"][0]]
        assert record["correct"] == expected["correct"]
        assert record["class_accuracy"] == pytest.approx(expected["metrics"]["class_accuracy"])
        assert (record["subset"], record["images"]) == ("valid", 16)
    assert len(results.path.read_text().splitlines()) == 6


def test_a_finished_run_is_not_lost_where_its_result_cannot_be_written(
    base, trained, console, tmp_path, monkeypatch
):
    cells = grid("figure-5", base, ("baseline",), [0])
    results = ResultsFile(base.out / "results.jsonl")
    with monkeypatch.context() as patch:
        patch.setattr(ResultsFile, "add", ResultsFile(tmp_path).add)  # a folder
        with pytest.raises(InputError, match=r"the run is kept in .*, and the same command") as e:
            run_grid(cells, base.out, results, console)
    assert str(base.out / cell_name(cells[0])) in str(e.value)
    assert run_grid(cells, base.out, results, console) == []
    assert trained == [cell_name(cells[0])]
    assert results.has(cells[0])


def test_a_record_is_one_line_of_json(base, console):
    cells = grid("figure-5", base, ("baseline",), [0])
    run_grid(cells, base.out, ResultsFile(base.out / "r.jsonl"), console)
    (line,) = (base.out / "r.jsonl").read_text().splitlines()
    assert set(json.loads(line)) == {"cell", "settings", "metrics", "correct"}
