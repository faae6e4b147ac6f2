"""What a file outside the package registers is a choice, a column and a colour, as all are."""

import dataclasses
import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console
from torch import nn

from pyg_agfn import (
    InputError,
    register_backbone,
    register_dataset,
    register_method,
    register_protocol,
)
from pyg_agfn.datasets import ImageDataset
from pyg_agfn.evaluation import EvaluationSettings, Protocol
from pyg_agfn.evaluation.protocols import joins_images
from pyg_agfn.evaluation.results_table import results_table
from pyg_agfn.methods import Method, StepOutput
from pyg_agfn.nn import BaselineClassifier
from pyg_agfn.registry import BACKBONES, DATASETS, METHODS, PROTOCOLS
from pyg_agfn.runs.model_config import ModelConfig
from pyg_agfn.training import TrainOptions, train_methods
from pyg_agfn.training.command_line import OptionParser, parse_options
from pyg_agfn.visualization.palette import method_style

SCRIPTS = Path(__file__).parents[1] / "scripts"

#: A module that registers one of each, as a user would write it.
PLUGIN = """
import numpy as np
import torch
from pathlib import Path
from torch import nn
from pyg_agfn import register_backbone, register_dataset, register_method, register_protocol
from pyg_agfn.datasets import ImageDataset
from pyg_agfn.evaluation import Protocol
from pyg_agfn.methods import Method, StepOutput

Path("imported").touch()

@register_method("doubled")
class Doubled(Method):
    def training_step(self, batch):
        logits = self.model(batch.images)
        return StepOutput(2 * self.criterion(logits, batch.labels), logits, batch.labels)

@register_dataset("halves", needs_root=False, options=(), defaults={"epochs": 2, "augment": False})
def read_halves(split):
    labels = np.arange(40) % 2
    images = np.zeros((40, 1, 8, 8), np.uint8)
    images[labels == 1, :, :4] = 200
    return ImageDataset(images, labels, ["dark", "bright"], [f"{split}/{i}" for i in range(40)])

@register_protocol("pairs")
class Pairs(Protocol):
    good_for = "batches of two images"
    def logits(self, model, features, labels):
        yield torch.cat([model.head(pair) for pair in features.split(2)])
"""
BACKBONE = """
from torch import nn
from pyg_agfn import register_backbone

@register_backbone("flat")
class Flat(nn.Sequential):
    num_features = 16
    def __init__(self, channels=3):
        super().__init__(nn.Flatten(), nn.Linear(64 * channels, 16), nn.BatchNorm1d(16))
"""


@pytest.fixture
def one_of_each():
    """Registers a method, a data set, a backbone and a protocol for the time of a test."""

    @register_method("halved")
    class Halved(Method):
        def training_step(self, batch):
            logits = self.model(batch.images)
            return StepOutput(self.criterion(logits, batch.labels) / 2, logits, batch.labels)

    @register_dataset("rows", needs_root=False, options=(), defaults={"epochs": 4, "lr": 0.05})
    def read_rows(split: str) -> ImageDataset:
        rng = np.random.default_rng(split == "train")
        labels = np.arange(60) % 3
        images = rng.integers(0, 60, (60, 1, 8, 8), dtype=np.uint8)
        for image, label in zip(images, labels, strict=True):
            image[0, 2 * label : 2 * label + 3] += 180
        return ImageDataset(images, labels, ["a", "b", "c"], [f"{split}/{i}" for i in range(60)])

    @register_backbone("layer")
    class Layer(nn.Sequential):
        num_features = 16

        def __init__(self, channels: int = 3) -> None:
            super().__init__(nn.Flatten(), nn.Linear(64 * channels, 16), nn.BatchNorm1d(16))

    @register_protocol("backwards")
    class Backwards(Protocol):
        good_for = "a test"

        def logits(self, model, features, labels):
            yield model.head(features.flip(0)).flip(0)

    yield {"method": "halved", "dataset": "rows", "backbone": "layer"}
    for registry, name in (
        (METHODS, "halved"),
        (DATASETS, "rows"),
        (BACKBONES, "layer"),
        (PROTOCOLS, "backwards"),
    ):
        registry.unregister(name)
        assert name not in registry


def test_one_of_each_is_trained_measured_and_shown(one_of_each, tmp_path):
    text = OptionParser().format_help()
    assert all(name in text for name in one_of_each.values())
    typed = [word for name, value in one_of_each.items() for word in (f"--{name}", value)]
    options = parse_options(
        [*typed, "--out", str(tmp_path), "--no-augment", "--batch-size", "20", "--device", "cpu"]
    )
    assert (options.epochs, options.lr) == (4, 0.05)
    options = dataclasses.replace(options, method=("baseline", "halved"))
    with (tmp_path / "screen").open("w") as file:
        train_methods(options, Console(file=file, width=120))
    for method in options.method:
        folder = tmp_path / f"rows-{method}-noise0-seed0"
        metrics = json.loads((folder / "metrics.json").read_text())
        assert (metrics["method"], metrics["dataset"]) == (method, "rows")
        assert metrics["accuracy"]["backwards"] == metrics["accuracy"]["bank"] > 0.9
        card = json.loads((folder / "model.json").read_text())
        assert card["backbone"] == "layer"
        assert card["plugin"] == [__name__]
    lines = (tmp_path / "screen").read_text().splitlines()
    heads = next(line for line in lines if "s/epoch" in line)
    assert "backwards" in heads.split()
    assert any(line.split()[:1] == ["halved"] for line in lines)
    style = method_style("halved")
    assert style["color"] not in {method_style(m)["color"] for m in METHODS if m != "halved"}
    assert results_table([metrics]).row_count == 1


def test_what_is_registered_by_a_script_is_named_by_its_file(monkeypatch):
    monkeypatch.setattr(sys.modules["__main__"], "__file__", "/some/own_method.py", raising=False)
    made = type("Own", (Method,), {"__module__": "__main__"})
    register_method("of-a-script")(made)
    assert METHODS.plugin_of("of-a-script") == "own_method"
    # The same file, imported by --plugin, is no other.
    register_method("of-a-script")(type("Own", (Method,), {"__module__": "own_method"}))
    METHODS.unregister("of-a-script")


def test_a_name_that_is_taken_or_is_none_is_refused(one_of_each):
    for name, complaint in (
        ("agfn", "method 'agfn' is registered already, by pyg_agfn.methods.agfn"),
        ("Big", "a name is of 1 to 40 small letters"),
        ("../up", "a name is of 1 to 40 small letters"),
        ("", "a name is of 1 to 40 small letters"),
    ):
        with pytest.raises(InputError, match=complaint):
            register_method(name)(type("Own", (Method,), {}))
    METHODS.unregister("agfn")
    assert METHODS["agfn"].name == "agfn"  # what is built in stays
    with pytest.raises(InputError, match=r"unknown backbone 'none', choose one .*layer"):
        BACKBONES["none"]


# Plugins


@pytest.fixture(scope="module")
def plugged(tmp_path_factory) -> Path:
    """A folder with two plugins, and the runs that a process has trained with them in it."""
    folder = tmp_path_factory.mktemp("plugged")
    (folder / "of_a_user.py").write_text(PLUGIN)
    (folder / "of_another.py").write_text(BACKBONE)
    script = str(SCRIPTS / "train_pyg.py")
    names = ["--dataset", "halves", "--backbone", "flat", "--method", "doubled"]
    plugins = ["--plugin", "of_a_user", "of_another"]
    done = subprocess.run(
        [sys.executable, script, *names, *plugins, "--batch-size", "8", "--device", "cpu"],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, "COLUMNS": "120"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "pairs" in done.stdout
    return folder


@pytest.fixture
def command(plugged, monkeypatch, capsys):
    """Runs a script in that folder, in this process; what a plugin registers is forgotten."""
    monkeypatch.chdir(plugged)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
    (plugged / "imported").unlink(missing_ok=True)

    def run(name: str, *arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
        with pytest.raises(SystemExit) as done:
            runpy.run_path(str(SCRIPTS / name), run_name="__main__")
        printed = capsys.readouterr()
        return int(done.value.code or 0), printed.out, printed.err

    yield run
    for module in ("of_a_user", "of_another"):
        sys.modules.pop(module, None)
    for registry in (METHODS, DATASETS, BACKBONES, PROTOCOLS):
        for name in ("doubled", "halves", "flat", "pairs"):
            registry.unregister(name)


RUN = "runs/halves-doubled-noise0-seed0"


@pytest.mark.slow
def test_a_command_trains_with_plugins_of_the_current_folder(plugged):
    metrics = json.loads((plugged / RUN / "metrics.json").read_text())
    assert metrics["accuracy"]["pairs"] == metrics["accuracy"]["bank"] == 1
    card = json.loads((plugged / RUN / "model.json").read_text())
    assert (card["method"], card["backbone"]) == ("doubled", "flat")
    config = json.loads((plugged / RUN / "config.json").read_text())
    assert card["plugin"] == config["plugin"] == ["of_a_user", "of_another"]


@pytest.mark.slow
def test_a_run_of_plugins_is_evaluated_with_them(plugged, command):
    plugins = ("--plugin", "of_a_user", "of_another")
    code, out, err = command("evaluate.py", "--checkpoint", RUN, "--format", "json", *plugins)
    assert code == 0, err
    (report,) = json.loads(out)
    assert report["protocols"]["pairs"]["accuracy"] == 1
    assert (plugged / "imported").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        ("evaluate.py", "--checkpoint", RUN),
        ("train_pyg.py", "--config", f"{RUN}/config.json"),
        ("train_pyg.py", "--resume", RUN),
        ("predict.py", "--checkpoint", RUN, "picture.png"),
        ("plot_tsne.py", RUN),
    ],
)
def test_a_file_never_imports_a_plugin(plugged, command, arguments):
    (plugged / "picture.png").touch()
    code, out, err = command(*arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "is not known" in err
    assert "pass --plugin of_a_user of_another" in err
    assert not (plugged / "imported").exists()


# What every registered one fulfils; `pytest -p my_plugin` has those of a plugin among them


@pytest.mark.parametrize("name", METHODS)
def test_contract_of_a_method(name):
    method = METHODS[name]
    assert method.name == name
    assert issubclass(method, Method)
    fields = {spec.name for spec in dataclasses.fields(TrainOptions)}
    assert method.options | method.defaults.keys() <= fields
    TrainOptions(dataset="digits", method=(name,), **method.defaults)
    style = method_style(name)
    others = [method_style(other) for other in METHODS if other != name]
    assert style.keys() == {"color", "linestyle"}
    assert style not in others
    config = ModelConfig(name, "small-cnn", ("a", "b", "c"), 1, 8, 8, feature_dim=16)
    models = []
    for _ in range(2):
        torch.manual_seed(0)
        models.append(method.build_model(config))
    assert isinstance(models[0], BaselineClassifier)
    assert joins_images(models[0]) == method.joins_images
    for one, two in zip(*(model.state_dict().values() for model in models), strict=True):
        assert torch.equal(one, two)  # drawn from the global generator alone
    assert models[0](torch.zeros(5, 1, 8, 8)).shape[1] == 3


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", BACKBONES)
def test_contract_of_a_backbone(name, channels):
    with torch.device("meta"):  # without memory for its weights
        backbone = BACKBONES[name](channels).eval()
        features = backbone(torch.zeros(2, channels, 32, 32))
    assert features.shape == (2, backbone.num_features)


@pytest.mark.parametrize("name", DATASETS)
def test_contract_of_a_data_set(name, tmp_path):
    reader = DATASETS[name]
    assert reader.splits
    assert "train" not in reader.splits
    of_pixels = {"image_size", "resize", "interpolation", "cache"}
    assert reader.options <= of_pixels | {"skip_bad", "label_mode", "targets"}
    given = {"root": tmp_path} if reader.needs_root else {}
    assert TrainOptions.for_dataset(name, **given).eval_split == reader.splits[0]
    if not reader.needs_root:
        train, *others = (reader.read(split) for split in ("train", *reader.splits))
        for other in others:
            assert other.classes == train.classes
            assert other.image_shape == train.image_shape
            assert not set(other.names) & set(train.names)


@pytest.mark.parametrize("name", PROTOCOLS)
def test_contract_of_a_protocol(name):
    protocol = PROTOCOLS[name]
    assert protocol.good_for
    torch.manual_seed(0)
    model = BaselineClassifier(nn.Identity(), 3, num_features=8).eval()
    features, labels = torch.randn(20, 8), torch.arange(20) % 3
    settings = EvaluationSettings(batch_size=6, draws=2, seed=4)
    passes = [[*protocol.from_settings(settings).logits(model, features, labels)] for _ in range(2)]
    assert passes[0]
    for first, second in zip(*passes, strict=True):
        assert first.shape == (20, 3)
        assert torch.equal(first, second)
    assert protocol.is_random or len(passes[0]) == 1
    if not joins_images(model):  # each image by itself, so in its own place
        torch.testing.assert_close(passes[0][0], model.head(features))
