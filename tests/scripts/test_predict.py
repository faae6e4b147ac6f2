import csv
import gc
import io
import itertools
import json
import os
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

from pyg_agfn.datasets import Digits
from pyg_agfn.errors import InputError
from pyg_agfn.prediction import predict
from pyg_agfn.prediction_output import CsvWriter, JsonLinesWriter, JsonWriter
from pyg_agfn.runs.folder import load_run


def predicted(done):
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


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


def test_files_are_read_while_the_answers_are_taken(trained, photos):
    """Of infinitely many files at most two batches are read or kept in advance."""
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


def test_large_images_are_classified_a_few_at_once(trained, photos, monkeypatch):
    run = load_run(trained["agfn"])
    files = sorted((photos / "top").iterdir())
    together = list(predict(run, files))
    monkeypatch.setattr("pyg_agfn.image_predictions.PIXELS", 12 * 12 * 3)
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
    hidden = folder / "._e.png"  # a file that is named is taken
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
    (prediction,) = predict(load_run(run), [tmp_path / "wide.png"])
    assert prediction.image[0, :, [0, -1]].unique(dim=0).tolist() == [[0, 255]]
    for name in ("resize", "white_integer", "white_float"):
        card.pop(name)
    (run / "model.json").write_text(json.dumps(card))  # written as by older versions
    run_before = load_run(run)
    assert (run_before.config.resize, run_before.config.white) == ("stretch", (None, None))
    broken: list[str] = []
    assert list(predict(run_before, [tmp_path / "wide.png"], report=broken.append)) == []
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


def test_a_model_of_the_package_is_there_without_training(script, tmp_path):
    image = Digits(train=False).images[0, 0]
    Image.fromarray(np.asarray(image)).save(tmp_path / "one.png")
    (entry,) = predicted(
        script("predict.py", "--checkpoint", "digits", "one.png", "--format", "json")
    )
    assert entry["top"][0]["class"] == str(int(Digits(train=False).labels[0]))
    assert len(entry["references"]) == 5
