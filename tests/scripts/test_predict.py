import csv
import io
import json

import numpy as np
import pytest
from PIL import Image

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
