import json
import re
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from pyg_agfn.datasets import ImageFolder
from pyg_agfn.datasets.batches import Batches
from pyg_agfn.evaluation import extract_features
from pyg_agfn.evaluation.separation import measure_separation
from pyg_agfn.runs.folder import load_run


@pytest.fixture
def drawn(script, trained, tmp_path):
    arguments = [trained["baseline"], trained["agfn"], "--out", "pictures/faces", "--points", 20]
    result = script("plot_tsne.py", *arguments, "--title", "Rows")
    assert result.returncode == 0, result.stderr
    return result.stdout, tmp_path / "pictures"


def test_pictures_page_and_numbers_are_written(drawn):
    text, folder = drawn
    assert (folder / "faces.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (folder / "faces.svg").read_text()
    rows = json.loads((folder / "faces.json").read_text())
    assert [row["images"] for row in rows] == ["test images", "training images"]
    titles = ["baseline", "agfn, before", "agfn, after"]
    for row in rows:
        assert [panel["title"] for panel in row["panels"]] == titles
        n = len(row["names"])
        assert all(len(panel["positions"]) == n for panel in row["panels"])
        assert len(row["labels"]) == len(row["true_labels"]) == n
        for panel in row["panels"]:
            found = panel["separation"]
            assert f"silhouette {found['silhouette']:.2f}" in text


def test_the_figures_are_of_the_feature_space(drawn, trained, photos):
    row = json.loads((drawn[1] / "faces.json").read_text())[0]
    run = load_run(trained["agfn"])
    test = ImageFolder(photos, "test", image_size=12)
    index = [test.names.index(name) for name in row["names"]]
    x = extract_features(run.model, Batches(test, 256, torch.device("cpu")))[index]
    with torch.no_grad():
        spaces = [run.model.agfn.projector(x), run.references.bank(x)]
    for panel, space in zip(row["panels"][1:], spaces, strict=True):
        expected = measure_separation(space, test.labels[index])
        assert panel["separation"]["silhouette"] == pytest.approx(expected.silhouette, abs=1e-5)
        ratio = panel["separation"]["variance_ratio"]
        assert ratio == pytest.approx(expected.variance_ratio, rel=1e-4)


def test_the_page_needs_nothing_else(drawn):
    page = (drawn[1] / "faces.html").read_text()
    tags = re.sub(r"(<(script|style)\b[^>]*>).*?</\2>", r"\1", page, flags=re.S)
    assert "<script" in tags
    assert not re.search(r"\b(src|href)=", tags)
    assert page.count("data:image/png;base64,") >= 20
    assert "wrong label" in page or "true class" in page


def test_runs_of_other_labels_are_not_drawn_together(script, trained, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(trained["agfn"], other)
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps({**config, "noise": 0.4}))
    result = script("plot_tsne.py", trained["baseline"], other)
    assert result.returncode == 2
    assert "other: has other images or labels" in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["missing"], "missing/model.json"),
        (["x", "--points", "3"], "at least 20"),
        (["x", "--seed", "-1"], "--seed must be 0 to 4294967295"),
        (["x", "--seed", str(1 << 32)], "--seed must be 0 to 4294967295"),
        (["x", "--out", "a.webm", "--format", "gif"], "invalid choice: 'gif'"),
        (["x", "--out", "a.bmp"], "a.bmp: a picture's name ends in"),
        (["x", "--out", "a.png", "--format", "svg"], "both set the ending"),
        (["x", "--out", "."], "is a folder; name the picture in it"),
        (["x", "--out", "/proc/x"], "--out /proc/x.png: cannot be written"),
        (["--out", "/proc/x"], "--out /proc/x.png: cannot be written"),
    ],
)
def test_bad_input_is_one_line(script, arguments, complaint):
    result = script("plot_tsne.py", *arguments)
    assert result.returncode == 2
    assert complaint in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.slow
def test_without_a_run_the_digits_are_trained_once(script, monkeypatch, tmp_path):
    from pyg_agfn import training
    from pyg_agfn.training import options

    small = {
        "train_size": 60,
        "batch_size": 6,
        "epochs": 2,
        "pretrain_epochs": 1,
        "feature_dim": 16,
    }
    monkeypatch.setitem(
        options.DATASET_DEFAULTS, "digits", {**options.DATASET_DEFAULTS["digits"], **small}
    )
    assert training.DATASET_DEFAULTS["digits"]["epochs"] == 2
    first = script("plot_tsne.py", "--points", 20)
    assert first.returncode == 0, first.stderr
    assert "training baseline, center-loss, agfn on the digits first" in first.stdout
    pictures = tmp_path / "runs" / "pictures"
    assert (pictures / "digits_tsne.html").is_file()
    before = (pictures / "digits_tsne.png").read_bytes()

    # One run was interrupted, another has other options.
    folder = tmp_path / "runs" / "digits-agfn-noise0.2-seed0"
    (folder / "metrics.json").unlink()
    other = tmp_path / "runs" / "digits-baseline-noise0.2-seed0"
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps({**config, "train_size": 50}))
    again = script("plot_tsne.py", "--points", 20, "--format", "pdf")
    assert again.returncode == 0, again.stderr
    assert "training agfn on the digits, from where it was" in again.stdout
    assert "training baseline on the digits first" in again.stdout
    assert (folder / "metrics.json").is_file()
    assert "agfn, after" in again.stdout
    assert "written: runs/pictures/digits_tsne-2.pdf, runs/pictures/digits_tsne-2.html" in (
        again.stdout
    )
    assert (pictures / "digits_tsne-2.pdf").read_bytes().startswith(b"%PDF")
    assert (pictures / "digits_tsne.png").read_bytes() == before


def test_a_picture_that_is_there_is_not_written_over_untold(script, trained, tmp_path):
    (tmp_path / "mine.json").write_text("mine")
    arguments = [trained["baseline"], "--points", 20, "--out", "mine.pdf"]
    result = script("plot_tsne.py", *arguments)
    assert result.returncode == 2
    assert "mine.json: exists already; --overwrite replaces it" in result.stderr
    assert (tmp_path / "mine.json").read_text() == "mine"
    result = script("plot_tsne.py", *arguments, "--overwrite")
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "mine.pdf").read_bytes().startswith(b"%PDF")
    assert not (tmp_path / "mine.png").exists()


def blank(run: Path, folder: Path, value: float) -> Path:
    """A copy of a run in which all weights are equal and all running variances are 0."""
    shutil.copytree(run, folder)
    path = folder / "model.safetensors"
    tensors = {
        name: torch.full_like(tensor, 0.0 if name.endswith("running_var") else value)
        for name, tensor in load_file(path).items()
    }
    save_file(tensors, path)
    return folder


@pytest.mark.parametrize("method", ["baseline", "agfn"])
def test_a_run_that_tells_no_image_from_another_is_drawn_with_a_note(
    script, trained, tmp_path, method
):
    run = blank(trained[method], tmp_path / "run", 0.0)
    result = script("plot_tsne.py", run, "--out", "blank", "--format", "png")
    assert result.returncode == 0, result.stderr
    assert "all features are the same" in result.stdout
    panels = json.loads((tmp_path / "blank.json").read_text())[0]["panels"]
    assert panels[0]["separation"] is None
    assert panels[0]["note"] == "all features are the same"
    assert {tuple(position) for position in panels[0]["positions"]} == {(0.0, 0.0)}


def test_features_that_are_no_numbers_are_one_line(script, trained, tmp_path):
    run = blank(trained["baseline"], tmp_path / "run", 1e18)
    result = script("plot_tsne.py", run, "--out", "huge")
    assert result.returncode == 2
    assert "the features of its test images are no numbers; it is broken" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_two_runs_of_one_method_are_told_apart(script, trained, tmp_path):
    shutil.copytree(trained["baseline"], tmp_path / "other")
    result = script("plot_tsne.py", trained["baseline"], "other", "--out", "two")
    assert "baseline (other): " in result.stdout
    assert f"baseline ({trained['baseline']}): " in result.stdout
    curves = script("plot_learning_curves.py", trained["baseline"], "other", "--out", "c.svg")
    assert curves.returncode == 0, curves.stderr
    assert script("plot_learning_curves.py", "other", "--out", "c.svg").returncode == 2
