"""The output of predict.py in each format."""

import csv
import io
import json
import os
import re
import shutil
import sys

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
    # A program that reads the output gets complete names.
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


def test_csv_runs_nothing_and_keeps_names(script, trained, photos, tmp_path, monkeypatch):
    """Formulas are text, columns of unusual classes differ, bytes of names are unchanged."""
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


@pytest.mark.parametrize("shown", ["table", "csv", "json"])
def test_names_that_are_made_to_hurt_are_shown_in_print(
    script, trained, photos, tmp_path, shown, monkeypatch
):
    """All names have markup, mathematics, escape sequences and bytes that are not text."""
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
