"""Every script prints text from untrusted files without control characters."""

import json
import os
import shutil
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file
from small_run import TINY_BASELINE

#: Terminal title and clearing, C1, right-to-left, isolate, zero width, half surrogate pairs.
HOSTILE = "\x1b]0;x\x07\x1b[2J\x9b31m\u202e\u2066\u200b\r\udce9"
BYTES = b"\x1b[2J\xc2\x9b31m\xe2\x80\xae\xe2\x80\x8b\xe9"


def changed(path: Path, **values) -> None:
    """A JSON file with other values."""
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, **values}))


def resume_finished(script, run: Path, tmp_path: Path):
    names = {name: f"{HOSTILE}\n{name}" for name in ("dataset", "split", "method", "recipe")}
    changed(run / "metrics.json", **names)
    return script("train_pyg.py", "--resume", run)


def resume_by_an_unknown_option(script, run: Path, tmp_path: Path):
    changed(run / "config.json", **{HOSTILE: 1})
    return script("train_pyg.py", "--resume", run)


def resume_by_an_odd_value(script, run: Path, tmp_path: Path):
    changed(run / "config.json", backbone=HOSTILE)
    return script("train_pyg.py", "--resume", run)


def evaluate_a_hostile_folder(script, run: Path, tmp_path: Path):
    moved = tmp_path / os.fsdecode(BYTES)
    run.rename(moved)
    return script("evaluate.py", "--checkpoint", moved, moved)


def predict_by_an_odd_card(script, run: Path, tmp_path: Path):
    changed(run / "model.json", method=HOSTILE)
    return script("predict.py", "--checkpoint", run, tmp_path)


def predict_by_odd_tensors(script, run: Path, tmp_path: Path):
    tensors = load_file(run / "model.safetensors")
    save_file(
        {**tensors, "\x1b[2J\u202e": tensors["classifier.bias"].clone()}, run / "model.safetensors"
    )
    return script("predict.py", "--checkpoint", run, tmp_path / "photos")


def train_on_hostile_names(script, run: Path, tmp_path: Path):
    """Class folders, images, a list, the folder of runs; then its table by class."""
    photos = tmp_path / "photos"
    (photos / "top").rename(photos / os.fsdecode(BYTES))
    (photos / "middle" / "0.png").rename(photos / "middle" / os.fsdecode(BYTES + b".png"))
    (photos / "middle" / os.fsdecode(BYTES + b"broken.png")).write_text("no image")
    out = tmp_path / os.fsdecode(BYTES + b"runs")
    arguments = [f"--{name.replace('_', '-')}={value}" for name, value in TINY_BASELINE.items()]
    arguments += ["--dataset", "folder", "--root", photos, "--method", "baseline", "--out", out]
    arguments += ["--epochs", 1, "--skip-bad"]
    done = script("train_pyg.py", *arguments)
    assert done.returncode == 0, done.stderr
    return done, script("evaluate.py", "--checkpoint", out / "folder-baseline-noise0-seed0")


def train_by_a_hostile_list(script, run: Path, tmp_path: Path):
    labels = tmp_path / "labels.txt"
    rows = [BYTES[:-1] + b" 1", b"top/0.png \x1b[2J\xe2\x80\xae"]
    labels.write_bytes(b"\n".join(rows) + b"\n")
    photos = tmp_path / "photos"
    return script("train_pyg.py", "--dataset", "folder", "--root", photos, "--noise-file", labels)


def render_hostile_results(script, run: Path, tmp_path: Path):
    results = tmp_path / "results.jsonl"
    record = {"cell": HOSTILE, "subset": HOSTILE, "settings": {HOSTILE: HOSTILE}, "error": HOSTILE}
    results.write_text(json.dumps(record) + "\n")
    record |= {"metrics": {HOSTILE: 1}, "subset": ""}
    with results.open("a") as file:
        file.write(json.dumps(record) + "\n")
    return script("render_results.py", results, "--table", 1)


def draw_a_hostile_log(script, run: Path, tmp_path: Path):
    log = run / "log" / "metrics.csv"
    log.write_text("epoch,test_accuracy,train_accuracy\n1,\x1b[2J\u202e,1\n")
    return script("plot_learning_curves.py", run, "--out", tmp_path / "curves.png")


@pytest.mark.parametrize(
    "door",
    [
        resume_finished,
        resume_by_an_unknown_option,
        resume_by_an_odd_value,
        evaluate_a_hostile_folder,
        predict_by_an_odd_card,
        predict_by_odd_tensors,
        train_on_hostile_names,
        train_by_a_hostile_list,
        render_hostile_results,
        draw_a_hostile_log,
    ],
)
def test_what_does_not_print_is_escaped(script, trained, photos, tmp_path, door):
    run = shutil.copytree(trained["baseline"], tmp_path / "run")
    shutil.copytree(photos, tmp_path / "photos")
    found = door(script, run, tmp_path)
    printed = "".join(d.stdout + d.stderr for d in (found if type(found) is tuple else [found]))
    # Line by line, because Rich pads tables; a carriage return or a feed would be another line.
    assert all(c.isprintable() for c in printed if c != "\n")
    assert "\\x1b" in printed  # so the text was printed


@pytest.mark.parametrize(
    "values",
    [
        {"accuracy": {"bank": 10**400}},
        {"accuracy": [1, 2]},
        {"accuracy": {"bank": {}, "shuffled": {"mean": 1, "std": 1}, "single": 1}},
        {"noise": "0.2"},
        {"noise": 10**400},
        {"epochs": "{0.__class__}"},
        {"epochs": {"a": 1}},
        {"test_images": "%s"},
        {"test_images": None},
        {"method": ["agfn"]},
        {"method": None},
        {"dataset": 3},
        {"split": {}},
        {"leak": "1"},
        {"memorized": [0.5]},
        {"alpha": "x"},
        {"seconds_per_epoch": None},
    ],
)
def test_odd_values_of_a_finished_run_are_one_line(script, trained, tmp_path, values):
    run = shutil.copytree(trained["baseline"], tmp_path / "run")
    changed(run / "metrics.json", **values)
    done = script("train_pyg.py", "--resume", run)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.endswith("metrics.json: does not hold what a run measures")
