"""An exported file is opened without torch, or refused in one line."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from own_data import trainer
from PIL import Image

from pyg_agfn.datasets.augmentation import to_float as torch_to_float
from pyg_agfn.errors import InputError
from pyg_agfn.export.formats import CAN_WRITE_ONNX
from pyg_agfn.exported_model import ExportedModel, find_providers, to_float

pytestmark = pytest.mark.skipif(not CAN_WRITE_ONNX, reason="this torch writes no such ONNX")


@pytest.fixture(scope="module")
def result(tiny):
    return trainer(method="agfn", feature_dim=16, bank_size=30, pretrain_epochs=1).fit(tiny, tiny)


@pytest.fixture(scope="module")
def file(result, tmp_path_factory) -> Path:
    return result.export(tmp_path_factory.mktemp("exported") / "model.onnx").path


@pytest.fixture
def pictures(tmp_path) -> list[Path]:
    """Files of other sizes and modes than the model's."""
    rng = np.random.default_rng(0)
    made = {
        "a.png": Image.fromarray(rng.integers(0, 256, (13, 9, 3), dtype=np.uint8)),
        "b.jpg": Image.fromarray(rng.integers(0, 256, (40, 40), dtype=np.uint8)),
        "c.png": Image.fromarray(rng.integers(0, 65536, (8, 8), dtype=np.uint16)),
        "d.png": Image.fromarray(rng.integers(0, 256, (20, 30, 4), dtype=np.uint8)),
    }
    for name, image in made.items():
        image.save(tmp_path / name)
    return [tmp_path / name for name in made]


def with_metadata(file: Path, path: Path, **changes: str | None) -> Path:
    """A copy that says something else of itself."""
    proto = onnx.load(file)
    told = {entry.key: entry.value for entry in proto.metadata_props} | changes
    del proto.metadata_props[:]
    onnx.helper.set_model_props(proto, {k: v for k, v in told.items() if v is not None})
    onnx.save(proto, path)
    return path


def test_every_pixel_becomes_the_same_float_as_in_training():
    pixels = np.arange(256, dtype=np.uint8).reshape(1, 1, 16, 16)
    expected = torch_to_float(torch.from_numpy(pixels.copy())).numpy()
    np.testing.assert_array_equal(to_float(pixels), expected)


def test_files_get_the_probabilities_that_the_run_gives_them(result, file, pictures):
    expected = result.predict_files(pictures)
    found = list(ExportedModel(file).predict_files(pictures))
    assert [p.file for p in found] == pictures
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one.image, other.image.numpy())
        assert one.probabilities == pytest.approx(other.probabilities, abs=1e-6)
        assert one.references == []
        assert one.own_weight is None


def test_many_images_are_classified_in_parts(file, tiny, monkeypatch):
    model = ExportedModel(file)
    whole = model.predict(tiny.images.numpy())
    monkeypatch.setattr("pyg_agfn.image_predictions.PIXELS", 7 * 64)
    sizes = []
    run = model.predict_floats
    monkeypatch.setattr(model, "predict_floats", lambda part: sizes.append(len(part)) or run(part))
    np.testing.assert_allclose(model.predict(list(tiny.images.numpy())), whole, atol=1e-6)
    assert sizes == [7] * 8 + [4]


def test_no_images_have_no_probabilities(file):
    model = ExportedModel(file)
    assert model.predict([]).shape == (0, 3)
    assert model.predict_floats(np.zeros((0, 1, 8, 8), np.float32)).shape == (0, 3)
    assert list(model.predict_files([])) == []


@pytest.mark.parametrize(
    ("images", "line"),
    [
        (np.zeros((1, 1, 8, 8)), "images must be uint8, got float64"),
        (np.zeros((1, 3, 8, 8), np.uint8), r"of shape \[N, 1, 8, 8\], got \[1, 3, 8, 8\]"),
        (np.zeros((1, 8, 8), np.uint8), r"of shape \[N, 1, 8, 8\]"),
    ],
)
def test_other_images_are_refused(file, images, line):
    with pytest.raises(InputError, match=line):
        ExportedModel(file).predict(images)


def test_a_broken_picture_is_reported_and_the_others_classified(file, pictures, tmp_path):
    (tmp_path / "bad.png").write_text("no image")
    files = [tmp_path / "bad.png", *pictures]
    told = []
    assert len(list(ExportedModel(file).predict_files(files, told.append))) == len(pictures)
    assert len(told) == 1
    assert "bad.png: cannot be read" in told[0]
    with pytest.raises(InputError, match=r"bad\.png: cannot be read"):
        list(ExportedModel(file).predict_files(files))


def test_what_it_says_of_itself_is_printed(file):
    model = ExportedModel(file)
    assert model.classes == ("a", "b", "c")
    assert repr(model) == "ExportedModel(model.onnx, agfn, small-cnn, 3 classes, fp32)"


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"format": "2"}, "its format is '2'"),
        ({"format": None}, "its format is None"),
        ({"classes": "["}, "cannot be used"),
        ({"classes": '["a", "a", "b"]'}, "classes must be a list of names"),
        ({"classes": '["a", "b"]'}, "must have 2 columns"),
        ({"preprocessing": "[]"}, "preprocessing must be a JSON object"),
        ({"preprocessing": ""}, "cannot be used"),
    ],
)
def test_a_file_that_says_something_else_is_refused(file, tmp_path, changes, line):
    with pytest.raises(InputError, match=line) as error:
        ExportedModel(with_metadata(file, tmp_path / "other.onnx", **changes))
    assert "\n" not in str(error.value)
    assert "other.onnx" in str(error.value)


@pytest.mark.parametrize(
    "change",
    [
        {"height": 9},
        {"height": 1 << 40},
        {"channels": 2},
        {"channels": True},
        {"resize": "warp"},
        {"interpolation": ["bicubic"]},
        {"white_integer": 7},
        {"mean": [0.4]},
        {"range": 255},
        {"order": "bgr"},
    ],
)
def test_other_preprocessing_is_refused(file, tmp_path, change):
    told = json.loads(
        next(e.value for e in onnx.load(file).metadata_props if e.key == "preprocessing")
    )
    other = with_metadata(file, tmp_path / "x.onnx", preprocessing=json.dumps({**told, **change}))
    with pytest.raises(InputError, match="cannot be used"):
        ExportedModel(other)


def test_a_model_of_own_transforms_takes_floats_alone(file, tmp_path, pictures):
    model = ExportedModel(with_metadata(file, tmp_path / "own.onnx", preprocessing="null"))
    assert model.predict_floats(np.zeros((2, 1, 8, 8), np.float32)).shape == (2, 3)
    with pytest.raises(InputError, match="transforms in Python made the images"):
        model.preprocess(pictures[0])
    with pytest.raises(InputError, match="transforms in Python made the images"):
        next(model.predict_files(pictures))


@pytest.mark.parametrize("content", [b"", b"no model", bytes(1000)])
def test_what_is_no_onnx_is_refused(tmp_path, content):
    path = tmp_path / "x.onnx"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"x.onnx: cannot be (opened as ONNX|used)") as error:
        ExportedModel(path)
    assert "\n" not in str(error.value)


def test_a_model_of_another_program_is_refused(tmp_path):
    value = onnx.helper.make_tensor_value_info
    floats = onnx.TensorProto.FLOAT
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Identity", ["x"], ["y"])],
        "g",
        [value("x", floats, [1])],
        [value("y", floats, [1])],
    )
    opset = [onnx.helper.make_opsetid("", 18)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=opset, ir_version=8), tmp_path / "x.onnx")
    with pytest.raises(InputError, match="cannot be used"):
        ExportedModel(tmp_path / "x.onnx")


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    with pytest.raises(InputError, match="there is no such file"):
        ExportedModel(tmp_path / "x.onnx")
    with pytest.raises(InputError, match="is no file"):
        ExportedModel(tmp_path)


def test_a_file_opens_no_other(file, tmp_path):
    proto = onnx.load(file)
    onnx.save(
        proto, tmp_path / "x.onnx", save_as_external_data=True, location="w", size_threshold=0
    )
    assert (tmp_path / "w").exists()
    with pytest.raises(InputError, match="cannot be opened as ONNX"):
        ExportedModel(tmp_path / "x.onnx")


def test_answers_that_are_no_numbers_are_refused(file):
    with pytest.raises(InputError, match="no numbers; it is broken"):
        ExportedModel(file).predict_floats(np.full((1, 1, 8, 8), np.nan, np.float32))


def test_a_device_is_one_of_this_machine(monkeypatch):
    assert find_providers("cpu") == ("CPUExecutionProvider",)
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: ["CPUExecutionProvider"])
    assert find_providers("auto") == ("CPUExecutionProvider",)
    with pytest.raises(InputError, match="--device cuda: this onnxruntime has none"):
        find_providers("cuda")
    with pytest.raises(InputError, match="--device mps"):
        find_providers("mps")
