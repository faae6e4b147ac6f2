import json
import re
import shutil

import pytest
import torch

from pyg_agfn.datasets import ImageFolder
from pyg_agfn.datasets.batches import Batches
from pyg_agfn.evaluation import extract_features
from pyg_agfn.evaluation.separation import measure_separation
from pyg_agfn.run_folder import load_run


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
    assert "other: is of other images or labels" in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [(["missing"], "missing/model.json"), (["x", "--points", "3"], "at least 20")],
)
def test_bad_input_is_one_line(script, arguments, complaint):
    result = script("plot_tsne.py", *arguments)
    assert result.returncode == 2
    assert complaint in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_without_a_run_the_digits_are_trained_once(script, monkeypatch, tmp_path):
    from pyg_agfn import training
    from pyg_agfn.training import options

    small = {"train_size": 120, "epochs": 3, "pretrain_epochs": 1, "feature_dim": 16}
    monkeypatch.setitem(
        options.DATASET_DEFAULTS, "digits", {**options.DATASET_DEFAULTS["digits"], **small}
    )
    assert training.DATASET_DEFAULTS["digits"]["epochs"] == 3
    first = script("plot_tsne.py", "--points", 60)
    assert first.returncode == 0, first.stderr
    assert "training baseline, center-loss, agfn on the digits first" in first.stdout
    assert (tmp_path / "visualizations" / "digits_tsne.html").is_file()
    again = script("plot_tsne.py", "--points", 60)
    assert "training baseline" not in again.stdout
    assert "agfn, after" in again.stdout
