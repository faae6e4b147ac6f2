"""An exported file as the server asks it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from pyg_agfn.commands.serve_run import open_exported
from pyg_agfn.datasets import Digits
from pyg_agfn.datasets.image_file import ImageBytes
from pyg_agfn.errors import InputError
from pyg_agfn.export.exporter import CheckImages, export_model
from pyg_agfn.export.inference_model import InferenceModel
from pyg_agfn.exported_model import ExportedModel
from pyg_agfn.runs.folder import load_run
from pyg_agfn.serving.exported_answerer import ExportedAnswerer
from pyg_agfn.serving.service import Service


@pytest.fixture(scope="module")
def onnx(digits_run, tmp_path_factory) -> Path:
    """The digits run, exported."""
    run, file = load_run(digits_run), tmp_path_factory.mktemp("onnx") / "model.onnx"
    model = InferenceModel(run.model, run.references.bank)
    images = CheckImages(Digits(train=False).images[:8], "test images")
    export_model(model, run.config, file, images)
    return file


def test_answers_are_those_of_the_run(served, onnx, answerer, pngs):
    exported = ExportedAnswerer(ExportedModel(onnx))
    assert list(exported.classes) == list(answerer.classes)

    async def ask(client):
        files = [("a", (f"{i}.png", png)) for i, png in enumerate(pngs[:8])]
        return await client.post("/predict", files=files)

    answers = served(Service(exported), ask).json()
    pixels = [answerer.decode(ImageBytes("a.png", png)) for png in pngs[:8]]
    for answer, expected in zip(answers, answerer.answer(["a"] * 8, pixels, 0), strict=True):
        assert answer["probabilities"] == pytest.approx(expected.probabilities, abs=1e-4)
        assert (answer["references"], answer["own_weight"]) == ([], None)


def test_torch_is_not_loaded(onnx, pngs):
    """The server and an exported model, asked in a process that has no torch."""
    code = """
import sys
sys.modules["torch"] = None
from pyg_agfn.exported_model import ExportedModel
from pyg_agfn.serving import ExportedAnswerer, Service, make_app
answerer = ExportedAnswerer(ExportedModel(sys.argv[1]))
make_app(Service(answerer))
import pyg_agfn.commands.serve_run
(answer,) = answerer.answer(["a"], [answerer.blank()], 0)
print(list(answer.probabilities))
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(onnx)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.replace("'", '"')) == list("0123456789")


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"checkpoint": Path("a.pt2")}, "is for torch.export.load"),
        ({"backbone": "a:B"}, "--backbone has no effect"),
        ({"device": "mps"}, "--device mps: an exported model runs on"),
        ({}, "there is no such file"),
    ],
)
def test_what_does_not_fit_is_named(given, complaint):
    from argparse import Namespace

    arguments = {"checkpoint": Path("a.onnx"), "backbone": None, "device": "auto", **given}
    with pytest.raises(InputError, match=complaint):
        open_exported(Namespace(**arguments))
