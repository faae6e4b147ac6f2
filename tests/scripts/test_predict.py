import csv
import gc
import io
import itertools
import json
import os
import re
import shutil
import signal
import sys
import weakref
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from pyg_agfn.errors import InputError
from pyg_agfn.prediction import predict
from pyg_agfn.prediction_output import CsvWriter, JsonLinesWriter, JsonWriter
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
        values = {name: float(row[f"p({name})"]) for name in CLASSES}
        assert max(values, key=values.get) == row["class"]


def test_the_table_has_a_line_an_image(script, trained, photos, monkeypatch):
    common = ["predict.py", "--checkpoint", trained["agfn"], photos]
    monkeypatch.setenv("COLUMNS", "80")
    for arguments, lines in (([], 31), (["--references", 3], 61)):
        done = script(*common, *arguments)
        assert done.returncode == 0, done.stderr
        shown = done.stdout.splitlines()
        assert len(shown) == lines
        assert max(map(len, shown)) <= 80
        heading, first = shown[:2]
        assert heading.split() == ["image", "class", "p", "next", "margin"]
        assert "…" in first
        assert "bottom/0.png" in first
        assert "bottom" in first.split()[1]
    assert shown[2].startswith("    shaped by ")
    assert re.search(r"/\d+\.png \((bottom|middle|top)\) [\d.]+%", shown[2])
    monkeypatch.setenv("COLUMNS", "200")
    wide = script(*common).stdout.splitlines()
    assert len(wide) == 31
    assert max(map(len, wide)) <= 200
    assert all(".png (" in line for line in wide[1:])
    # A program that reads it gets names whole.
    monkeypatch.delenv("COLUMNS")
    piped = script(*common).stdout.splitlines()
    assert len(piped) == 31
    assert str(photos / "bottom" / "0.png") in piped[1]
    found = predicted(script(*common, "--format", "json"))
    named = [len(entry["references"]) for entry in found]
    assert [line.count(".png (") for line in piped[1:]] == named


def test_only_the_likeliest_classes_are_listed_if_asked(script, trained, photos):
    common = ["predict.py", "--checkpoint", trained["agfn"], photos]
    every = predicted(script(*common, "--format", "json"))
    some = predicted(script(*common, "--format", "json", "--top", 2))
    for whole, part in zip(every, some, strict=True):
        ranked = sorted(whole["probabilities"].items(), key=lambda item: -item[1])
        assert list(part["probabilities"].items()) == ranked[:2]
        assert part["top"] == whole["top"]
    rows = list(csv.DictReader(io.StringIO(script(*common, "--format", "csv", "--top", 2).stdout)))
    assert list(rows[0]) == [
        *("file", "class", "margin", "class 1", "p 1", "class 2", "p 2", "references")
    ]
    for row, entry in zip(rows, some, strict=True):
        assert [row["class 1"], row["class 2"]] == list(entry["probabilities"])
        assert float(row["p 2"]) == pytest.approx(entry["top"][1]["probability"], abs=1e-6)


def test_json_lines_hold_what_the_list_holds(script, trained, photos):
    common = ["predict.py", "--checkpoint", trained["agfn"], photos, "--format"]
    lines = script(*common, "jsonl").stdout.splitlines()
    assert list(map(json.loads, lines)) == json.loads(script(*common, "json").stdout)


def test_files_are_read_while_the_answers_are_taken(trained, photos):
    """Of files without end: those ahead, and the images kept, are a batch or two."""
    run = load_run(trained["agfn"])
    files = [photos / "top" / f"{i}.png" for i in range(10)]
    opened, live = 0, []

    def endless() -> Iterator[Path]:
        nonlocal opened
        for file in itertools.cycle(files):
            opened += 1
            yield file

    predictions = predict(run, endless(), batch_size=8)
    for taken, prediction in enumerate(itertools.islice(predictions, 100), 1):
        assert opened <= taken + 2 * 8
        live.append(weakref.ref(prediction.image))
    del prediction
    gc.collect()
    assert sum(image() is not None for image in live) <= 1  # the last one
    predictions.close()


def test_an_unreadable_file_ends_it_if_no_one_is_told(trained, photos, tmp_path):
    (tmp_path / "broken.png").write_text("no image")
    files = [photos / "top" / "0.png", tmp_path / "broken.png", photos / "top" / "1.png"]
    run = load_run(trained["agfn"])
    with pytest.raises(InputError, match=r"broken\.png"):
        list(predict(run, files))
    told: list[str] = []
    assert [p.file for p in predict(run, files, report=told.append)] == files[::2]
    assert len(told) == 1
    assert "broken.png" in told[0]


@pytest.mark.parametrize("shown", ["csv", "json", "jsonl"])
def test_what_was_written_before_an_interruption_is_valid(
    script, trained, photos, monkeypatch, shown
):
    write = JsonWriter if shown == "json" else JsonLinesWriter if shown == "jsonl" else CsvWriter
    once, written = write.write, []

    def interrupted(self, prediction):
        once(self, prediction)
        written.append(prediction)
        if len(written) == 4:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(write, "write", interrupted)
    done = script("predict.py", "--checkpoint", trained["agfn"], photos, "--format", shown)
    assert done.returncode == 130
    assert done.stderr == "predict.py: interrupted; 4 of 30 images are classified\n"
    rows = {
        "json": json.loads,
        "jsonl": lambda text: [json.loads(line) for line in text.splitlines()],
        "csv": lambda text: list(csv.DictReader(io.StringIO(text))),
    }[shown](done.stdout)
    assert [row["file"] for row in rows] == [str(p.file) for p in written]


def test_a_reader_that_has_enough_ends_it(script, trained, photos, monkeypatch):
    end, begin = os.pipe()
    os.close(end)
    with os.fdopen(begin, "w") as out:
        monkeypatch.setattr(sys, "stdout", out)
        done = script("predict.py", "--checkpoint", trained["agfn"], photos, "--format", "json")
    assert (done.returncode, done.stderr) == (141, "")


def test_csv_runs_nothing_and_keeps_names(script, trained, photos, tmp_path, monkeypatch):
    """Formulas are text, columns of odd classes are told apart, bytes are the file's own."""
    run = shutil.copytree(trained["agfn"], tmp_path / "run")
    card = json.loads((run / "model.json").read_text())
    classes = ["=cmd|' /C calc'!A0", "file", "margin"]
    (run / "model.json").write_text(json.dumps({**card, "classes": classes}))
    monkeypatch.chdir(tmp_path)
    names = [b"+1+1.png", b"-caf\xe9.png", b'@x, "y".png', b"b\xff.png"]
    for name in names:
        shutil.copy(photos / "bottom" / "0.png", os.fsencode(tmp_path) + b"/" + name)
    arguments = ["--checkpoint", run, "--format", "csv", "--", *map(os.fsdecode, names)]
    out = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="backslashreplace")
    monkeypatch.setattr(sys, "stdout", out)
    done = script("predict.py", *arguments)
    assert done.returncode == 0, done.stderr
    text = out.buffer.getvalue().decode("utf-8", "surrogateescape")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert list(rows[0])[3:6] == [f"p({name})" for name in classes]
    assert all(row["class"] == "'" + classes[0] for row in rows)
    found = [os.fsencode(row["file"]) for row in rows]
    assert found == [b"'" + name for name in names[:3]] + names[3:]
    assert all(row["references"].count(";") == 4 for row in rows)


def test_json_gives_back_every_name(script, trained, photos, tmp_path):
    name = b"caf\xe9 \x1b[2J\n\xe2\x80\xae.png"
    shutil.copy(photos / "top" / "0.png", os.fsencode(tmp_path) + b"/" + name)
    path = tmp_path / os.fsdecode(name)
    (found,) = predicted(
        script("predict.py", "--checkpoint", trained["agfn"], path, "--format", "json")
    )
    assert os.fsencode(found["file"]) == os.fsencode(path)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["nowhere.png"], "nowhere.png: there is no such file or folder"),
        (["."], "has no image"),
        (["--references", "-1", "."], "--references"),
        (["--sheet", "sheet.xyz", "."], "sheet.xyz: a picture's name ends in"),
        (["--sheet-images", "301", "."], "--sheet-images must be 1 to 300"),
        (["--top", "0", "."], "--top"),
        (["--top", "3", "."], "--top: a table has"),
        (["--device", "cuda:x", "."], "--device cuda:x: choose"),
        (["--device", "cuda:99", "."], "--device cuda:99: there is no such device"),
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
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
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
    together = list(predict(run, files))
    monkeypatch.setattr("pyg_agfn.prediction.PIXELS", 12 * 12 * 3)
    for one, other in zip(together, predict(run, files), strict=True):
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
