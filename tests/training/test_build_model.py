"""The model of a training: its default backbone, and one that is a class of the user's own."""

import json
import sys

import pytest
import torch
from own_data import SMALL, trainer
from rich.console import Console

from pyg_agfn import Trainer
from pyg_agfn.errors import InputError
from pyg_agfn.runs.folder import load_run
from pyg_agfn.training import TrainingResult, TrainOptions, parse_options
from pyg_agfn.training.build_model import fit_backbone


@pytest.fixture
def gpu(monkeypatch):
    monkeypatch.setattr(
        "pyg_agfn.training.build_model.find_device",
        lambda name: torch.device("cpu" if name == "cpu" else "cuda"),
    )


@pytest.mark.parametrize(
    ("given", "side", "backbone"),
    [
        ({}, 64, "resnet18-small"),
        ({}, 65, "resnet18"),
        ({"device": "cpu"}, 48, "resnet18"),
        ({"backbone": "resnet18"}, 48, "resnet18"),
        ({"backbone": "resnet34"}, 48, "resnet34"),
        ({"dataset": "digits", "root": None}, 8, "small-cnn"),
        ({"weights": "w.pth"}, 48, "resnet18"),
        ({"backbone_arg": "groups=1"}, 48, "resnet18"),
    ],
)
def test_small_images_have_the_small_stem_on_a_gpu(gpu, given, side, backbone):
    given = {"dataset": "folder", "root": "photos", **given}
    options = TrainOptions.for_dataset(**given)
    assert fit_backbone(options, (1, side, side)).backbone == backbone


def test_without_a_gpu_it_is_as_before():
    options = TrainOptions.for_dataset("folder", root="photos", device="cpu")
    assert fit_backbone(options, (1, 48, 48)) is options


def test_the_default_is_said_and_saved(gpu, tiny, tmp_path, monkeypatch):
    built = []

    def small(in_channels):
        built.append(in_channels)
        net = torch.nn.Flatten()
        net.num_features = 64
        return net

    monkeypatch.setitem(sys.modules["pyg_agfn.registry"].BACKBONES._found, "resnet18-small", small)
    # The device is the CPU: only the look at it is another's.
    made = Trainer(method="baseline", **{**SMALL, "device": "auto", "epochs": 1})
    made.console = Console(record=True, width=200)
    made.fit(tiny, tiny, tmp_path / "run")
    line = "by default for images of 8 pixels on a GPU: --backbone resnet18-small"
    assert line in made.console.export_text()
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    model = json.loads((tmp_path / "run" / "model.json").read_text())
    assert config["backbone"] == model["backbone"] == "resnet18-small"
    assert set(built) == {1}


def test_a_class_is_imported_where_it_is_typed_and_no_file_names_it(own_nets, tiny):
    folder = own_nets / "run"
    made = trainer("own_nets:Net", backbone_arg={"width": 5})
    result = made.fit(tiny, tiny, folder)
    assert type(result.model.backbone).__name__ == "Net"
    assert result.model.num_features == 5
    for name in ("model.json", "config.json"):
        assert json.loads((folder / name).read_text())["backbone"] == "custom"
    assert json.loads((folder / "model.json").read_text())["backbone_args"] == {"width": 5}
    (own_nets / "imported").unlink()
    sys.modules.pop("own_nets")
    with pytest.raises(InputError, match="name it by --backbone module:Class, or"):
        load_run(folder)
    assert not (own_nets / "imported").exists()
    loaded = TrainingResult.load(folder, "own_nets:Net")
    assert torch.equal(loaded.predict(tiny.images), result.predict(tiny.images))
    assert (own_nets / "imported").exists()


def test_every_training_of_a_class_begins_with_the_seeds_weights(own_nets, tiny):
    first, again = (trainer("own_nets:Net", epochs=1).fit(tiny).model for _ in range(2))
    other = trainer("own_nets:Net", epochs=1, seed=1).fit(tiny).model
    assert torch.equal(first.backbone[0].weight, again.backbone[0].weight)
    assert not torch.equal(first.backbone[0].weight, other.backbone[0].weight)


@pytest.mark.parametrize(
    ("backbone", "line"),
    [
        ("own_nets:Other", "--backbone own_nets:Other: own_nets has no class Other"),
        ("own_nets:Number", "--backbone own_nets:Number: makes a Number, no torch.nn.Module"),
        ("own_nets:fails", "cannot be built: RuntimeError: no, not today"),
        ("no_such:Net", "--backbone no_such: cannot be imported (ModuleNotFoundError"),
    ],
)
def test_a_class_that_cannot_be_is_one_line(own_nets, tiny, backbone, line):
    with pytest.raises(InputError) as error:
        trainer(backbone).fit(tiny)
    assert line in str(error.value)
    assert "\n" not in str(error.value)


def test_a_configuration_has_no_class_imported(own_nets):
    config = own_nets / "config.json"
    config.write_text(json.dumps({"backbone": "own_nets:Net"}))
    with pytest.raises(InputError, match="a file never has a module imported"):
        parse_options(["--config", str(config)])
    config.write_text(json.dumps({"backbone": "custom"}))
    assert parse_options(["--config", str(config), "--backbone", "own_nets:Net"]).backbone == (
        "own_nets:Net"
    )
    assert not (own_nets / "imported").exists()


@pytest.mark.parametrize(
    ("typed", "line"),
    [
        (["--backbone", "torchvision/resnet_18"], "near it are torchvision/resnet18"),
        (["--backbone", "hf-hub:timm/resnet18"], "'hf-hub:timm/resnet18'"),
        (["--backbone-arg", "depth"], "--backbone-arg depth: write NAME=VALUE"),
        (["--input-range", "100"], "--input-range must be 1 or 255, got 100"),
        (["--input-mean", "1", "2"], "--input-mean must be one number or three, got 1.0 2.0"),
        (["--input-std", "0"], "--input-std must be greater than 0, got 0.0"),
        (["--input-order", "gbr"], "--input-order"),
        (["--input-channels", "2"], "--input-channels must be 1 or 3, got 2"),
    ],
)
def test_what_cannot_be_typed_is_one_line(typed, line):
    with pytest.raises(InputError) as error:
        parse_options(typed)
    assert line in str(error.value)
    assert "\n" not in str(error.value)


def test_arguments_are_typed_one_by_one():
    typed = "--backbone resnet18 --backbone-arg groups=1 --backbone-arg zero_init_residual=true"
    assert parse_options(typed.split()).backbone_arg == ("groups=1", "zero_init_residual=true")


def test_images_of_a_size_that_the_backbone_does_not_take_are_one_line(tiny):
    with pytest.raises(InputError, match="backbone VisionTransformer fails on images of 1x8x8"):
        trainer("torchvision/vit_b_32").fit(tiny)
