import csv
import io
import json
import os
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from pyg_agfn.prediction import predict, read_images
from pyg_agfn.run_folder import load_run

CLASSES = ["bottom", "middle", "top"]


def predicted(done):
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_json_is_a_list_and_nothing_else(script, trained, photos):
    found = predicted(
        script("predict.py", "--checkpoint", trained["agfn"], photos, "--format", "json")
    )
    assert len(found) == 30
    assert found[0]["file"] == str(photos / "bottom" / "0.png")
    for entry in found:
        assert list(entry["probabilities"]) == CLASSES
        assert sum(entry["probabilities"].values()) == pytest.approx(1, abs=1e-5)
        first, second = entry["top"]
        assert first["probability"] == max(entry["probabilities"].values())
        assert entry["margin"] == pytest.approx(first["probability"] - second["probability"])
        weights = [reference["weight"] for reference in entry["references"]]
        assert weights == sorted(weights, reverse=True)
        assert 0 < len(weights) <= 5
        assert sum(weights) + entry["own_weight"] <= 1 + 1e-5
        assert {reference["label"] for reference in entry["references"]} <= set(CLASSES)
    right = [entry["top"][0]["class"] in entry["file"] for entry in found]
    assert sum(right) >= 24


def test_all_weights_add_to_one(script, trained, photos):
    arguments = ["--checkpoint", trained["agfn"], photos / "top", "--references", 9]
    for entry in predicted(script("predict.py", *arguments, "--format", "json")):
        total = entry["own_weight"] + sum(r["weight"] for r in entry["references"])
        assert total == pytest.approx(1, abs=1e-5)


def test_an_image_gets_the_same_answer_alone_and_among_others(script, trained, photos):
    files = [photos / "top" / "3.png", photos / "middle" / "1.png"]
    common = ["--checkpoint", trained["agfn"], "--format", "json"]
    together = {e["file"]: e for e in predicted(script("predict.py", *common, photos))}
    for file in files:
        (alone,) = predicted(script("predict.py", *common, file))
        others = together[str(file)]["probabilities"]
        assert alone["probabilities"] == pytest.approx(others, abs=1e-6)


def test_a_baseline_has_no_references(script, trained, photos):
    common = ["--checkpoint", trained["baseline"], photos / "top", "--format", "json"]
    assert all(entry["references"] == [] for entry in predicted(script("predict.py", *common)))


def test_images_of_any_kind_are_read_and_broken_ones_skipped(script, trained, photos, tmp_path):
    folder = tmp_path / "mixed"
    folder.mkdir()
    original = Image.open(photos / "top" / "0.png")
    original.save(folder / "a-grey.png")
    original.convert("RGB").save(folder / "b-rgb.png")
    original.convert("RGBA").save(folder / "c-rgba.png")
    wide = np.asarray(original).astype(np.uint16) * 257
    Image.fromarray(wide).save(folder / "d-16bit.png")
    original.resize((48, 36)).save(folder / "e-large.bmp")
    (folder / "f-empty.png").write_bytes(b"")
    (folder / "g-text.jpg").write_text("no image")
    sheet = tmp_path / "sheet.png"
    common = ["--checkpoint", trained["agfn"], folder, "--sheet", sheet]
    done = script("predict.py", *common, "--format", "json")
    assert done.returncode == 1
    found = json.loads(done.stdout)
    assert [entry["file"][len(str(folder)) + 1] for entry in found] == ["a", "b", "c", "d", "e"]
    for entry in found[1:4]:
        assert entry["probabilities"] == pytest.approx(found[0]["probabilities"], abs=1e-5)
    lines = done.stderr.splitlines()
    assert "f-empty.png: cannot be read" in lines[0]
    assert "g-text.jpg: cannot be read" in lines[1]
    assert lines[2] == "predict.py: 2 of 7 images skipped"
    assert Image.open(sheet).size[1] > 500


def test_csv_has_a_column_for_each_class(script, trained, photos):
    done = script("predict.py", "--checkpoint", trained["agfn"], photos, "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert len(rows) == 30
    for row in rows:
        values = {name: float(row[name]) for name in CLASSES}
        assert max(values, key=values.get) == row["class"]


def test_the_table_names_references(script, trained, photos):
    done = script("predict.py", "--checkpoint", trained["agfn"], photos / "top" / "0.png")
    assert done.returncode == 0
    assert "margin" in done.stdout
    assert "(top)" in done.stdout  # the label of a reference


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["nowhere.png"], "nowhere.png: there is no such file or folder"),
        (["."], "has no image"),
        (["--references", "-1", "."], "--references"),
        (["--sheet", "sheet.xyz", "."], "sheet.xyz: a picture's name ends in"),
        (["--sheet-images", "301", "."], "--sheet-images 1 to 300"),
        (["x" * 5000], "there is no such file or folder"),
        ([], "images"),
    ],
)
def test_bad_input_is_one_line(script, trained, arguments, complaint):
    done = script("predict.py", "--checkpoint", trained["agfn"], *arguments)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("predict.py: error: ")
    assert complaint in line


def test_a_folder_that_is_no_run_is_named(script, photos):
    done = script("predict.py", "--checkpoint", photos, photos)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "model.json: there is no such file" in line


@pytest.mark.parametrize("shown", ["table", "csv", "json"])
def test_names_that_are_made_to_hurt_are_shown_in_print(
    script, trained, photos, tmp_path, shown, monkeypatch
):
    """Markup, mathematics, escape sequences and bytes that are no text, in all names there are."""
    monkeypatch.setenv("COLUMNS", "1000")
    names = [b"[red]", b"$\\frac$", b"\x1b[31m", b"a\nb", b"caf\xe9", b":cat:"]
    run = shutil.copytree(trained["agfn"], tmp_path / "run")
    card = json.loads((run / "model.json").read_text())
    classes = ["[/b]\x1b[2J", "$\\frac$\udce9", "top\n"]
    (run / "model.json").write_text(json.dumps({**card, "classes": classes}))
    bank = json.loads((run / "bank.json").read_text())
    bank["names"] = [f"[/x]\x1b]0;{i}\x07\ud800" for i in range(9)]
    (run / "bank.json").write_text(json.dumps(bank))
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in names:
        shutil.copy(photos / "top" / "0.png", os.fsencode(folder) + b"/" + name + b".png")
    (folder / os.fsdecode(b"\x1b[31mcaf\xe9.jpg")).write_text("no image")
    sheet = tmp_path / "sheet.png"
    done = script("predict.py", "--checkpoint", run, folder, "--format", shown, "--sheet", sheet)
    assert done.returncode == 1
    printed = done.stdout + done.stderr
    assert all(c.isprintable() for c in printed if c not in "\r\n")
    assert "[red]" in printed
    assert len(done.stderr.splitlines()) == 2
    if shown == "json":
        assert list(json.loads(done.stdout)[0]["probabilities"]) == classes
    assert Image.open(sheet).size[1] > 500


def test_large_images_are_classified_a_few_at_once(trained, photos, monkeypatch):
    run = load_run(trained["agfn"])
    files = sorted((photos / "top").iterdir())
    _, images, _ = read_images(run, files)
    together = predict(run, files, images)
    monkeypatch.setattr("pyg_agfn.prediction.PIXELS", 12 * 12 * 3)
    for one, other in zip(together, predict(run, files, images), strict=True):
        assert one.probabilities == pytest.approx(other.probabilities, abs=1e-6)


def test_weights_out_of_all_proportion_are_one_line(script, trained, photos, tmp_path):
    run = shutil.copytree(trained["baseline"], tmp_path / "run")
    tensors = load_file(run / "model.safetensors")
    tensors["classifier.weight"] = torch.full_like(tensors["classifier.weight"], 3e38)
    save_file(tensors, run / "model.safetensors")
    done = script("predict.py", "--checkpoint", run, photos)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "answers are no numbers" in line


def test_folders_are_searched_as_training_searches_them(script, trained, photos, tmp_path):
    folder = tmp_path / "mixed"
    (folder / "inner" / ".hidden").mkdir(parents=True)
    original = Image.open(photos / "top" / "0.png")
    for name in ("a.gif", "inner/b.PGM", "inner/c.jfif", "inner/.hidden/d.png", "._e.png"):
        original.save(folder / name, "JPEG" if name.endswith("jfif") else None)
    (folder / "notes.txt").write_text("none")
    done = script("predict.py", "--checkpoint", trained["baseline"], folder, "--format", "json")
    found = [entry["file"] for entry in predicted(done)]
    assert found == [str(folder / name) for name in ("a.gif", "inner/b.PGM", "inner/c.jfif")]
    assert done.stderr.splitlines() == [
        "predict.py: ignored: 1 file that is no image by its ending (.txt 1)"
    ]
    hidden = folder / "._e.png"  # given by its name, it is taken
    (entry,) = predicted(
        script("predict.py", "--checkpoint", trained["baseline"], hidden, "--format", "json")
    )
    assert entry["file"] == str(hidden)


def test_images_are_brought_to_the_model_as_in_training(trained, photos, tmp_path):
    run = shutil.copytree(trained["agfn"], tmp_path / "run")
    card = json.loads((run / "model.json").read_text())
    wide = np.repeat([0, 4095], 12)[None].repeat(12, 0).astype(np.uint16)
    Image.fromarray(wide).save(tmp_path / "wide.png")
    changed = {"resize": "crop", "white_integer": 4095}
    (run / "model.json").write_text(json.dumps({**card, **changed}))
    _, images, broken = read_images(load_run(run), [tmp_path / "wide.png"])
    assert broken == []
    assert images[0, 0, :, [0, -1]].unique(dim=0).tolist() == [[0, 255]]
    for name in ("resize", "white_integer", "white_float"):
        card.pop(name)
    (run / "model.json").write_text(json.dumps(card))  # as older versions wrote it
    run_before = load_run(run)
    assert (run_before.card.resize, run_before.card.white) == ("stretch", (None, None))
    _, _, broken = read_images(run_before, [tmp_path / "wide.png"])
    assert "does not tell the value of white" in broken[0]


def test_want_of_memory_ends_in_one_line(script, trained, photos, monkeypatch):
    monkeypatch.setattr("pyg_agfn.datasets.image_file.is_free", lambda count: False)

    def denied(*_):
        raise MemoryError

    monkeypatch.setattr("pyg_agfn.datasets.image_file.fit_image", denied)
    done = script("predict.py", "--checkpoint", trained["baseline"], photos)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "0.png: decoding it takes up to 1 MiB of memory, and there is less" in line
