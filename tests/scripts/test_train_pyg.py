"""Training by scripts/train_pyg.py."""

import csv
import json
import re
from pathlib import Path

import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file

from pyg_agfn.errors import InputError
from pyg_agfn.training import TrainOptions, parse_options, train_methods
from pyg_agfn.training.run import load_datasets, make_fabric, make_run_folder


def quick(out: Path, **options) -> TrainOptions:
    chosen = {"epochs": 2, "pretrain_epochs": 1, "train_size": 200, "feature_dim": 32, "out": out}
    chosen["batch_size"] = 128
    return TrainOptions.for_dataset("digits", **{**chosen, **options})


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    out = tmp_path_factory.mktemp("out")
    methods = ("baseline", "threshold-gcn", "agfn")
    console = Console(file=(out / "screen").open("w"), width=100)
    results = train_methods(quick(out, method=methods, lr_graph=10.0), console)
    return out, dict(zip(methods, results, strict=True))


def folder(out: Path, method: str) -> Path:
    return out / f"digits-{method}-noise0.2-seed0"


@pytest.mark.parametrize("method", ["baseline", "threshold-gcn", "agfn"])
def test_a_run_folder_holds_everything(runs, method):
    out, results = runs
    metrics = json.loads((folder(out, method) / "metrics.json").read_text())
    assert metrics == results[method]
    assert metrics["dataset"] == "digits"
    assert metrics["method"] == method
    assert metrics["noise"] == 0.2
    assert (metrics["seed"], metrics["epochs"]) == (0, 2)
    assert metrics["accuracy"]["shuffled"]["draws"] == 10
    assert 0 <= metrics["accuracy"]["shuffled"]["mean"] <= 1
    for protocol in ("bank", "single", "class_sorted"):
        assert 0 <= metrics["accuracy"][protocol] <= 1
    accuracy = metrics["accuracy"]
    assert metrics["leak"] == pytest.approx(accuracy["class_sorted"] - accuracy["bank"])
    if method == "baseline":
        assert accuracy["bank"] == accuracy["single"] == accuracy["class_sorted"]
        assert metrics["leak"] == 0
    assert 0 <= metrics["memorized"] <= 1
    assert metrics["seconds_per_epoch"] > 0
    assert metrics["test_images"] == 450
    assert (metrics["alpha"] is not None) == (method == "agfn")
    if method == "agfn":
        assert metrics["alpha"] != 1.0
    else:
        assert metrics["beta"] is None

    weights = load_file(folder(out, method) / "model.safetensors")
    assert ("agfn.edges.alpha" in weights) == (method == "agfn")
    with (folder(out, method) / "log" / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert float(rows[-1]["images_per_second"]) > 0
    png = (folder(out, method) / "learning_curve.png").read_bytes()
    assert png.startswith(b"\x89PNG")
    assert not list(folder(out, method).glob("*.partial"))


def test_the_configuration_repeats_the_run_to_the_bit(runs, tmp_path):
    out, _ = runs
    config = folder(out, "agfn") / "config.json"
    options = parse_options(["--config", str(config), "--out", str(tmp_path)])
    train_methods(options, Console(quiet=True))
    first = load_file(folder(out, "agfn") / "model.safetensors")
    again = load_file(folder(tmp_path, "agfn") / "model.safetensors")
    assert first.keys() == again.keys()
    assert all(torch.equal(first[name], again[name]) for name in first)


def test_the_screen_shows_epochs_and_a_table_of_all_methods(runs):
    text = (runs[0] / "screen").read_text()
    for method in ("baseline", "threshold-gcn", "agfn"):
        assert f"{method} epoch 2/2  loss" in text
        assert re.search(rf"^{method} +\d+\.\d\d ", text, re.MULTILINE)
    assert "memorized" in text


def test_methods_share_labels_order_and_first_weights(tmp_path):
    from pyg_agfn.training.fit import describe_model

    options = quick(tmp_path)
    train, _ = load_datasets(options)
    assert int(train.wrong_labels.sum()) == 40
    models = []
    for method in ("baseline", "agfn"):
        torch.manual_seed(options.seed)
        models.append(describe_model(options, method, train).build())
    one, other = models
    for p, q in zip(one.backbone.parameters(), other.backbone.parameters(), strict=True):
        assert torch.equal(p, q)


def test_no_run_is_overwritten(tmp_path):
    names = [make_run_folder(tmp_path, "run").name for _ in range(3)]
    assert names == ["run", "run-2", "run-3"]
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="--out"):
        make_run_folder(tmp_path / "file", "run")


@pytest.mark.parametrize("device", ["tpu", "cuda:x", "cuda:99", "cpu:one"])
def test_a_device_that_is_not_there_is_one_line(device, tmp_path):
    with pytest.raises(InputError, match=f"--device {device}"):
        make_fabric(quick(tmp_path, device=device))


def test_more_training_images_than_there_are(tmp_path):
    with pytest.raises(InputError, match="--train-size 5000: there are 1347"):
        load_datasets(quick(tmp_path, train_size=5000))


def test_a_loss_that_is_not_finite_stops_the_run(tmp_path):
    with pytest.raises(
        InputError, match=r"the loss is (nan|inf) in step 1 .digits.* of epoch 2.*--lr"
    ):
        train_methods(quick(tmp_path, lr=1e30), Console(quiet=True))


@pytest.mark.parametrize("dataset", ["mnist", "ferplus", "rafdb", "folder"])
def test_a_wrong_root_is_named(dataset, tmp_path):
    options = TrainOptions.for_dataset(dataset, root=tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"--root .*nowhere"):
        load_datasets(options)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--dataset", "ferplus", "--root", "nowhere"],
        ["--epochs", "none"],
        ["--device", "cuda:99"],
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(script, arguments, tmp_path):
    done = script("train_pyg.py", *arguments)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("train_pyg.py: error: ")
    assert arguments[-2] in line
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_the_script_trains_and_prints_a_table(process, tmp_path):
    small = ["--epochs", "1", "--pretrain-epochs", "0", "--train-size", "100", "--samples", "2"]
    done = process("train_pyg.py", *small, "--precision", "bf16", "--loss", "squared-error")
    assert done.returncode == 0, done.stderr
    for method in ("baseline", "agfn", "agfn-nlc"):
        assert re.search(rf"^{method} +\d+\.\d\d ", done.stdout, re.MULTILINE)
    assert len(list((tmp_path / "runs").glob("*/metrics.json"))) == 3


def test_a_profile_of_some_steps_can_be_opened(script, tmp_path):
    options = ["--method", "agfn", "--train-size", 256, "--epochs", 2, "--pretrain-epochs", 1]
    result = script("train_pyg.py", *options, "--batch-size", 32, "--profile", "--out", "runs")
    assert result.returncode == 0, result.stderr
    (folder,) = (tmp_path / "runs").iterdir()
    events = json.loads((folder / "profile.json").read_text())["traceEvents"]
    names = {event.get("name") for event in events}
    assert {"aten::convolution", "aten::mm", "_StraightThrough"} <= names  # of the epoch with graph
    assert "aten::convolution" in (folder / "profile.txt").read_text()
    log = (folder / "log" / "metrics.csv").read_text().splitlines()
    row = dict(zip(log[0].split(","), log[1].split(","), strict=True))
    assert float(row["images_per_second"]) > 0
    assert float(row["peak_memory_gib"]) > 0.1


def test_a_profile_of_too_few_steps_is_said(script, tmp_path):
    options = ["--method", "baseline", "--train-size", 64, "--epochs", 1, "--batch-size", 64]
    said = script("train_pyg.py", *options, "--profile", "--out", "runs").stdout
    assert "no profile: an epoch has fewer than four steps" in said
    assert "--batch-size 64 is 1 step an epoch of 64 training images" in said


@pytest.mark.parametrize(("capability", "said"), [("AVX2", True), ("AVX512", False)])
def test_a_cpu_that_emulates_bf16_is_named(script, monkeypatch, capability, said):
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    monkeypatch.setattr("torch.backends.cpu.get_cpu_capability", lambda: capability)
    small = ["--method", "baseline", "--epochs", 1, "--train-size", 100, "--precision", "bf16"]
    assert ("this CPU emulates bf16" in script("train_pyg.py", *small).stdout) == said


def test_without_matplotlib_a_line_takes_the_place_of_the_picture(tmp_path, monkeypatch):
    monkeypatch.setattr("pyg_agfn.training.run_in_folder.missing", lambda package: f"no {package}")
    console = Console(file=(tmp_path / "screen").open("w"), width=100)
    options = {"method": "baseline", "epochs": 1, "train_size": 128, "batch_size": 128}
    train_methods(TrainOptions.for_dataset("digits", out=tmp_path, **options), console)
    console.file.close()
    assert "no picture of the learning curve: no matplotlib" in (tmp_path / "screen").read_text()
    files = {path.name for path in folder(tmp_path, "baseline").iterdir()}
    assert "metrics.json" in files
    assert "learning_curve.png" not in files
