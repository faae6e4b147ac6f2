"""An exported file answers as PyTorch does, or there is none."""

import json
import warnings
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from own_data import same, trainer, weights
from torch import nn

from pyg_agfn.errors import InputError
from pyg_agfn.export import CheckImages, InferenceModel, export_model, exporter
from pyg_agfn.export.formats import CAN_WRITE_ONNX, OPSET
from pyg_agfn.exported_model import ExportedModel, to_float
from pyg_agfn.nn import AGFNClassifier, ReferenceBank
from pyg_agfn.registry import METHODS
from pyg_agfn.runs.model_config import ModelConfig

pytestmark = pytest.mark.skipif(not CAN_WRITE_ONNX, reason="this torch writes no such ONNX")

#: Names of backbones, and the side of the images that they are tried on. The maps of resnet18 have
#: a few pixels only.
BACKBONES = {"resnet18": 32, "face-cnn": 48, "timm/convnext_atto": 32}
#: One method of each class of models.
MODEL_CLASSES = {METHODS[name].model_class: name for name in reversed([*METHODS])}
GRAPHS = ("threshold-gcn", "agfn-nlc")


@pytest.fixture(scope="module")
def graph(tiny):
    """A result of a method that joins an image to its bank."""
    method = trainer(method="agfn-nlc", feature_dim=16, bank_size=30, pretrain_epochs=1)
    return method.fit(tiny, tiny)


@pytest.fixture(scope="module")
def plain(tiny):
    return trainer().fit(tiny, tiny)


@pytest.fixture(scope="module")
def file(graph, tiny, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("exported") / "model.onnx"
    graph.export(path, tiny.images)
    return path


def built(config: ModelConfig) -> InferenceModel:
    """A model with drawn weights, and statistics of batch normalization that are not 0 and 1."""
    torch.manual_seed(0)
    model = config.build()
    with torch.no_grad():
        shape = (8, config.channels, config.height, config.width)
        for _ in range(3):
            model.features(2 * torch.rand(shape) - 1)
        model.eval()
        model.classifier.weight.mul_(20)  # so that answers differ from image to image
        bank = None
        if isinstance(model, AGFNClassifier):
            references = model.features(2 * torch.rand(20, *shape[1:]) - 1)
            bank = ReferenceBank.from_features(model.agfn, references, 16)
    return InferenceModel(model, bank)


def config_of(method: str, backbone: str, side: int, channels: int = 1, **given) -> ModelConfig:
    classes = ("a", "b", "c", "d")
    size = {"height": side, "width": side, "feature_dim": 16, "alpha": 8.0, "beta": -4.0}
    return ModelConfig(method, backbone, classes, channels, **{**size, **given})


def test_a_file_answers_any_batch_as_the_result_does(graph, file, tiny):
    model = ExportedModel(file)
    for rows in ([7], [0, 31, 59], list(range(60)) + list(range(9))):
        images = tiny.images[rows]
        expected = graph.predict(images).numpy()
        np.testing.assert_allclose(model.predict(images.numpy()), expected, atol=1e-6)
    assert np.ptp(expected, axis=0).min() > 1e-3  # the answers are not all the same


def test_a_file_says_what_it_is(graph, file):
    proto = onnx.load(file)
    onnx.checker.check_model(proto, full_check=True)
    assert [o.version for o in proto.opset_import if o.domain == ""] == [OPSET]
    batch = proto.graph.input[0].type.tensor_type.shape.dim[0]
    assert batch.dim_param  # any size
    told = {entry.key: entry.value for entry in proto.metadata_props}
    assert json.loads(told["classes"]) == ["a", "b", "c"]
    assert (told["method"], told["backbone"], told["precision"]) == (
        "agfn-nlc",
        "small-cnn",
        "fp32",
    )
    preprocessing = json.loads(told["preprocessing"])
    assert (preprocessing["height"], preprocessing["channels"]) == (8, 1)
    assert (preprocessing["mean"], preprocessing["std"], preprocessing["range"]) == (
        [0.5],
        [0.5],
        1,
    )
    assert "inherit the licence" in told["license"]
    assert "custom" not in told["license"]


def test_a_program_answers_any_batch_too(graph, tiny, tmp_path):
    report = graph.export(tmp_path / "model.pt2", tiny.images)
    assert report.largest_difference < 1e-6
    told = {"metadata.json": ""}
    program = torch.export.load(report.path, extra_files=told).module()
    for count in (1, 60):
        images = torch.from_numpy(to_float(tiny.images[:count].numpy()))
        torch.testing.assert_close(program(images), graph.predict(tiny.images[:count]))
    assert json.loads(told["metadata.json"])["method"] == "agfn-nlc"


def test_exporting_changes_nothing_of_the_result(graph, tiny, tmp_path):
    before, answers = weights(graph), graph.predict(tiny.images)
    learned = [p.requires_grad for p in graph.model.parameters()]
    graph.export(tmp_path / "model.pt2", tiny.images)
    assert same(before, weights(graph))
    assert torch.equal(answers, graph.predict(tiny.images))
    assert learned == [p.requires_grad for p in graph.model.parameters()]


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_lower_precision_is_smaller_and_says_how_it_agrees(plain, tiny, tmp_path, precision):
    whole = plain.export(tmp_path / "fp32.onnx", tiny.images)
    images = CheckImages(tiny.images, "test images", tiny.true_labels)
    report = export_model(
        InferenceModel(plain.model),
        plain.config,
        tmp_path / "low.onnx",
        images,
        precision=precision,
    )
    assert report.size < (0.6 if precision == "fp16" else 0.4) * whole.size
    assert 0 < report.largest_difference < 0.05
    assert report.same_class > 0.9
    expected = (plain.predict(tiny.images).argmax(1) == tiny.true_labels).float().mean()
    found = ExportedModel(report.path).predict(tiny.images.numpy()).argmax(1)
    right = float((found == tiny.true_labels.numpy()).mean())
    assert report.accuracy == pytest.approx((float(expected), right))
    assert "accuracy on 60 test images" in str(report)


def test_a_file_that_differs_is_not_kept(graph, tiny, tmp_path, monkeypatch):
    answers = ExportedModel.predict_floats
    monkeypatch.setattr(ExportedModel, "predict_floats", lambda *args: answers(*args) + 2e-4)
    path = tmp_path / "model.onnx"
    with pytest.raises(InputError, match=r"not written, .* differ from PyTorch's by up to 2.0e-04"):
        graph.export(path, tiny.images)
    assert list(tmp_path.iterdir()) == []
    path.write_text("before")
    with pytest.raises(InputError, match="not written"):
        graph.export(path, tiny.images, overwrite=True)
    assert [p.read_text() for p in tmp_path.iterdir()] == ["before"]


@pytest.mark.parametrize(
    ("name", "given", "line"),
    [
        ("model.bin", {}, "must end in .onnx or .pt2"),
        ("model.pt2", {"precision": "int8"}, "a .pt2 is fp32"),
        ("model.onnx", {"precision": "int4"}, "--precision must be one of fp32, fp16, int8"),
        ("there.onnx", {}, "exists already; --overwrite replaces it"),
        ("file/model.onnx", {}, "cannot be written"),
    ],
)
def test_what_cannot_be_written_is_refused_first(plain, tmp_path, monkeypatch, name, given, line):
    (tmp_path / "there.onnx").write_text("")
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(exporter.formats, "trace", None)
    with pytest.raises(InputError, match=line) as error:
        plain.export(tmp_path / name, **given)
    assert "\n" not in str(error.value)


def test_a_missing_package_is_named(plain, tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r'pip install "pyg_agfn\[export\]"'):
        plain.export(tmp_path / "model.onnx")


class AsksForNumbers(nn.Module):
    """A backbone that no exporter can follow."""

    num_features = 64

    def forward(self, images):
        x = images.flatten(1)
        return x if x.sum().item() > 0 else -x


def test_a_model_that_cannot_be_exported_is_refused_in_a_line(tiny, tmp_path):
    result = trainer(backbone=AsksForNumbers()).fit(tiny, tiny)
    for name in ("model.onnx", "model.pt2"):
        with pytest.raises(InputError, match="cannot be exported") as error:
            result.export(tmp_path / name)
        assert "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_images_of_another_shape_are_refused(plain, tmp_path):
    with pytest.raises(InputError, match=r"must be of shape \[N, 1, 8, 8\]"):
        plain.export(tmp_path / "model.onnx", torch.zeros(2, 3, 8, 8))


def test_without_images_random_ones_are_taken(plain, tmp_path):
    report = plain.export(tmp_path / "model.pt2")
    assert report.checked == "64 images of random pixels"


def test_a_graph_method_needs_its_bank(graph):
    with pytest.raises(ValueError, match="needs a ReferenceBank"):
        InferenceModel(graph.model)


def test_no_notice_of_an_exporter_is_heard(plain, tiny, tmp_path, capfd):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plain.export(tmp_path / "model.onnx", tiny.images)
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
@pytest.mark.parametrize("method", [*MODEL_CLASSES.values(), *GRAPHS])
def test_every_class_of_models_is_exported(method, tmp_path):
    config = config_of(method, "small-cnn", 12)
    model = built(config)
    export_model(model, config, tmp_path / "model.onnx")
    images = torch.randint(0, 256, (5, 1, 12, 12), dtype=torch.uint8).numpy()
    found = ExportedModel(tmp_path / "model.onnx").predict(images)
    with torch.no_grad():
        np.testing.assert_allclose(found, model(torch.from_numpy(to_float(images))), atol=1e-6)
    assert np.ptp(found, axis=0).max() > 5e-5


@pytest.mark.slow
@pytest.mark.parametrize("backbone", BACKBONES)
def test_backbones_are_exported(backbone, tmp_path):
    convention = {"input_mean": (0.4, 0.5, 0.6), "input_std": (0.2, 0.3, 0.2), "input_range": 1}
    config = config_of("agfn", backbone, BACKBONES[backbone], 3, **convention, input_order="bgr")
    report = export_model(built(config), config, tmp_path / "model.onnx")
    assert report.largest_difference < 1e-5


@pytest.mark.slow
def test_grey_images_of_three_channels_are_exported(tmp_path):
    config = config_of("agfn-nlc", "resnet18", 32, input_channels=3, input_range=255)
    report = export_model(built(config), config, tmp_path / "model.pt2")
    assert report.largest_difference < 1e-5
