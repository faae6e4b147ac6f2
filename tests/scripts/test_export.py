"""``export.py``, and ``predict.py`` on what it wrote, with torch and without."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pyg_agfn.export.formats import CAN_WRITE_ONNX

pytestmark = pytest.mark.skipif(not CAN_WRITE_ONNX, reason="this torch writes no such ONNX")

SCRIPTS = Path(__file__).parents[2] / "scripts"
#: Runs a script in a process that cannot import what a machine for serving does not have.
WITHOUT_TORCH = """
import runpy, sys
MISSING = {"torch", "torch_geometric", "torchvision", "torchmetrics", "lightning", "sklearn",
           "scipy", "safetensors", "jsonargparse", "filelock", "onnx", "onnxscript", "matplotlib"}
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in MISSING:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Missing())
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture(scope="module")
def exported(trained, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("exported") / "model.onnx"
    command = [sys.executable, str(SCRIPTS / "export.py"), str(trained["agfn"]), "--out", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    first, second = done.stdout.splitlines()
    assert first.startswith(f"{path}: fp32, ")
    assert "on 6 test images: " in second
    assert [f"in batches of {n}" in second for n in (1, 3, 64)] == [True] * 3
    return path


def without_torch(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", WITHOUT_TORCH, str(SCRIPTS / "predict.py")]
    return subprocess.run(
        [*command, *map(str, arguments)], capture_output=True, text=True, check=False
    )


def test_without_torch_the_answers_are_the_same(script, trained, exported, photos):
    done = without_torch("--checkpoint", exported, photos, "--format", "json")
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    run = script("predict.py", "--checkpoint", trained["agfn"], photos, "--format", "json")
    expected = json.loads(run.stdout)
    assert [entry["file"] for entry in found] == [entry["file"] for entry in expected]
    for one, other in zip(found, expected, strict=True):
        assert one.keys() == other.keys()
        assert one["probabilities"] == pytest.approx(other["probabilities"], abs=1e-6)
        assert (one["references"], one["own_weight"]) == ([], None)


@pytest.mark.parametrize("form", ["table", "csv", "jsonl"])
def test_without_torch_every_format_is_written(exported, photos, form):
    done = without_torch("--checkpoint", exported, photos / "top", "--format", form)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == 10 + (form != "jsonl")
    assert done.stdout.count("top") >= 10


def test_without_torch_a_run_folder_names_what_is_missing(trained, photos):
    done = without_torch("--checkpoint", trained["agfn"], photos)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "a run folder needs torch, which is not installed" in done.stderr


def test_references_are_left_out_with_a_line(script, exported, photos):
    common = ["--checkpoint", exported, photos / "top"]
    done = script("predict.py", *common, "--references", 3)
    assert done.returncode == 0
    assert done.stderr.splitlines() == [
        "predict.py: --references: an exported model does not know its training images; none are "
        "listed"
    ]


def test_a_sheet_is_drawn(script, exported, photos, tmp_path):
    done = script("predict.py", "--checkpoint", exported, photos, "--sheet", tmp_path / "sheet.png")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "sheet.png").stat().st_size > 0


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--checkpoint", "no.onnx"], "no.onnx: there is no such file"),
        (["--checkpoint", "no.pt2"], "is for torch.export.load; give the run's folder"),
        (["--checkpoint", "EXPORTED", "--backbone", "a:B"], "--backbone has no effect"),
        (["--checkpoint", "EXPORTED", "--device", "mps"], "--device mps: an exported model"),
    ],
)
def test_bad_predictions_are_refused_in_a_line(script, exported, photos, arguments, line):
    given = [exported if word == "EXPORTED" else word for word in arguments]
    done = script("predict.py", *given, photos)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert line in done.stderr


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["RUN"], "--out"),
        (["RUN", "--out", "model.txt"], "must end in .onnx or .pt2"),
        (["RUN", "--out", "model.pt2", "--precision", "fp16"], "a .pt2 is fp32"),
        (["RUN", "--out", "there.pt2"], "--out there.pt2: exists already"),
        (["no-run", "--out", "model.pt2"], "give the folder of a finished run"),
        (["RUN", "--out", "model.pt2", "--images", "none"], "there is no such file or folder"),
        (["RUN", "--out", "model.pt2", "--root", "none"], "none"),
        (["RUN", "--out", "model.pt2", "--root", "a", "--images", "b"], "one of them"),
        (["RUN", "--out", "model.pt2", "--backbone", "a:B"], "--backbone has no effect"),
    ],
)
def test_bad_exports_are_refused_in_a_line(script, trained, tmp_path, arguments, line):
    (tmp_path / "there.pt2").write_text("")
    done = script("export.py", *[trained["agfn"] if w == "RUN" else w for w in arguments])
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert line in done.stderr
    assert [path.name for path in tmp_path.glob("*.pt2*")] == ["there.pt2"]


def test_without_its_data_set_a_run_is_checked_on_its_bank_or_on_given_images(
    script, trained, photos, tmp_path
):
    moved = shutil.copytree(trained["agfn"], tmp_path / "moved")
    config = json.loads((moved / "config.json").read_text())
    (moved / "config.json").write_text(json.dumps({**config, "root": "gone"}))
    done = script("export.py", moved, "--out", "a.pt2")
    assert done.returncode == 0, done.stderr
    assert "the run's test images cannot be read" in done.stderr
    assert "on 9 images of the bank: " in done.stdout
    done = script("export.py", moved, "--out", "b.pt2", "--images", photos / "top")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"on 10 images of {photos / 'top'}: " in done.stdout
    done = script("export.py", moved, "--out", "b.pt2", "--root", photos, "--overwrite")
    assert (done.returncode, done.stderr) == (0, "")
    assert "on 6 test images: " in done.stdout


def test_lower_precision_shows_its_accuracy(script, trained):
    done = script("export.py", trained["baseline"], "--out", "m.onnx", "--precision", "int8")
    assert (done.returncode, done.stderr) == (0, "")
    assert "same class as PyTorch in fp32: " in done.stdout
    assert "accuracy on 6 test images: " in done.stdout
