"""Run folders of what is not in the package: own modules, and names that a plugin registers."""

import json
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from pyg_agfn import Trainer
from pyg_agfn.errors import InputError
from pyg_agfn.methods import Method
from pyg_agfn.nn import ReferenceBank
from pyg_agfn.registry import BACKBONES, METHODS, import_plugin, register_method
from pyg_agfn.runs.folder import References, load_run, save_model
from pyg_agfn.runs.model_config import LATER, ModelConfig

PLUGIN = """
from pathlib import Path

from torch import nn

from pyg_agfn.methods import Method
from pyg_agfn.registry import register_backbone, register_method

Path("imported").touch()

@register_method("method-of-a-plugin")
class MyMethod(Method): ...

@register_backbone("backbone-of-a-plugin")
def build(channels):
    module = nn.Sequential(nn.Flatten(), nn.Linear(64 * channels, 6))
    module.num_features = 6
    return module
"""


class Backbone(nn.Module):
    """With a buffer that no file holds."""

    num_features = 5

    def __init__(self, features: int = 5) -> None:
        super().__init__()
        self.linear = nn.Linear(64, features)
        self.register_buffer("mean", torch.tensor(0.25), persistent=False)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.linear(images.flatten(1) - self.mean)


def config(method: str = "baseline", backbone: str = "custom", **changes) -> ModelConfig:
    return ModelConfig(method, backbone, ("a", "b"), 1, 8, 8, feature_dim=4, **changes)


def save(folder: Path, what: ModelConfig, backbone: nn.Module | None = None) -> nn.Module:
    """Writes a run folder; returns its model."""
    torch.manual_seed(0)
    model, references = what.build(backbone).eval(), None
    if METHODS[what.method].joins_images:
        images = torch.randint(0, 256, (3, 1, 8, 8), dtype=torch.uint8)
        bank = ReferenceBank.from_features(model.agfn, model.features(images / 255), 3)
        references = References(bank, images, torch.tensor([0, 1, 1]), list("xyz"))
    save_model(folder, what, model, references)
    return model


@pytest.mark.parametrize("method", ["baseline", "agfn", "scn"])
def test_an_own_module_gets_the_weights_of_the_folder(tmp_path, method):
    model, images = save(tmp_path, config(method), Backbone()), torch.randn(4, 1, 8, 8)
    with pytest.raises(
        InputError, match=r"own: name it by --backbone .* load_run\(folder, backbone=module"
    ):
        load_run(tmp_path)
    module = Backbone()
    run = load_run(tmp_path, backbone=module)
    assert run.model.backbone is module
    assert torch.equal(module.linear.weight, model.backbone.linear.weight)
    with torch.no_grad():
        assert torch.equal(run.model(images), model(images))


def test_an_own_module_that_does_not_fit_is_refused_and_stays_as_it_is(tmp_path):
    save(tmp_path, config(), Backbone())
    other = Backbone(features=7)
    before = other.linear.weight.clone()
    with pytest.raises(InputError, match="says num_features = 5, and yields 7 features"):
        load_run(tmp_path, backbone=other)
    assert torch.equal(other.linear.weight, before)


def test_transforms_of_the_users_are_known_and_older_runs_had_none(tmp_path):
    save(tmp_path, config(own_transforms=True, white_integer=4095), Backbone())
    assert load_run(tmp_path, Backbone()).config == config(own_transforms=True, white_integer=4095)
    path = tmp_path / "model.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps({k: v for k, v in content.items() if k not in LATER}))
    assert load_run(tmp_path, Backbone()).config == config()


@pytest.fixture
def plugin(tmp_path, monkeypatch) -> str:
    """A module that can be imported, and then writes a file."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own_plugin.py").write_text(PLUGIN)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield "own_plugin"
    sys.modules.pop("own_plugin", None)
    METHODS.unregister("method-of-a-plugin")
    BACKBONES.unregister("backbone-of-a-plugin")


@pytest.mark.parametrize(
    ("what", "said"),
    [
        (("method-of-a-plugin", "small-cnn"), "method 'method-of-a-plugin' is not known"),
        (("baseline", "backbone-of-a-plugin"), "backbone 'backbone-of-a-plugin' is not known"),
    ],
)
def test_a_folder_names_the_plugin_and_never_imports_it(tmp_path, plugin, what, said):
    folder = tmp_path / "run"
    folder.mkdir()
    save(folder, config("baseline", "small-cnn", plugin=(plugin,)))
    content = json.loads((folder / "model.json").read_text())
    named = {**content, "method": what[0], "backbone": what[1]}
    (folder / "model.json").write_text(json.dumps(named))
    with pytest.raises(InputError, match=f"{said}: pass --plugin own_plugin or import") as error:
        load_run(folder)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "imported").exists()
    assert plugin not in sys.modules

    import_plugin(plugin)  # as the user's own --plugin does
    assert (tmp_path / "imported").exists()
    model = save(folder, config(*what, plugin=(plugin,)))
    images = torch.randn(4, 1, 8, 8)
    with torch.no_grad():
        assert torch.equal(load_run(folder).model(images), model(images))


def test_a_known_method_needs_no_plugin_that_a_folder_names(tmp_path, plugin):
    save(tmp_path, config("baseline", "small-cnn", plugin=(plugin,)))
    assert load_run(tmp_path).config.plugin == (plugin,)
    assert not (tmp_path / "imported").exists()


def test_a_trained_run_names_the_module_that_registered_its_method(tiny, tmp_path):
    @register_method("of-this-file")
    class OfThisFile(Method):
        pass

    try:
        small = {"backbone": "small-cnn", "epochs": 1, "batch_size": 20, "device": "cpu"}
        result = Trainer(method="of-this-file", quiet=True, **small).fit(tiny)
        result.save(tmp_path / "run")
        assert load_run(tmp_path / "run").config.plugin == (__name__,)
    finally:
        METHODS.unregister("of-this-file")
    with pytest.raises(InputError, match=f"pass --plugin {__name__} or import what it names"):
        load_run(tmp_path / "run")


@pytest.mark.parametrize("name", ["torchvision/swin_t", "timm/test_vit_relpos"])
def test_tables_that_are_not_in_the_file_are_computed_again(tmp_path, name):
    if name.startswith("timm"):
        pytest.importorskip("timm")
    side = 32 if name.startswith("torchvision") else 160
    what = ModelConfig("baseline", name, ("a", "b"), 1, side, side)
    model = save(tmp_path, what)
    state = torch.random.get_rng_state()
    run = load_run(tmp_path)
    assert torch.equal(torch.random.get_rng_state(), state)
    images = torch.randn(2, 1, side, side)
    with torch.no_grad():
        assert torch.equal(run.model(images), model(images))


def test_tables_that_are_too_large_are_refused(tmp_path, monkeypatch):
    pytest.importorskip("timm")
    save(tmp_path, ModelConfig("baseline", "timm/test_vit_relpos", ("a", "b"), 1, 160, 160))
    monkeypatch.setattr("pyg_agfn.runs.folder.TABLES_LIMIT", 100)
    with pytest.raises(InputError, match=r"model\.json: the backbone computes tables of .* bytes"):
        load_run(tmp_path)
