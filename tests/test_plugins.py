"""Modules that the user names with ``--plugin``, and files that name some."""

import json
import sys

import pytest

from pyg_agfn.errors import InputError
from pyg_agfn.plugins import import_plugins, refuse_unregistered
from pyg_agfn.registry import BACKBONES
from pyg_agfn.training import parse_options
from pyg_agfn.training.command_line import parse_given

PLUGIN = """
from pathlib import Path

from pyg_agfn.registry import register_backbone

@register_backbone("of-a-plugin")
def backbone(channels):
    raise NotImplementedError

Path("imported").touch()
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder, with a plugin in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
    (tmp_path / "some_plugin.py").write_text(PLUGIN)
    yield tmp_path
    sys.modules.pop("some_plugin", None)
    BACKBONES.unregister("of-a-plugin")


@pytest.mark.parametrize("typed", [["--plugin", "some_plugin"], ["--plugin=some_plugin"]])
def test_a_plugin_of_the_current_folder_is_among_the_choices(folder, typed):
    with pytest.raises(InputError, match="invalid choice: 'of-a-plugin'"):
        parse_given(["--backbone", "of-a-plugin"])
    given = parse_given(["--backbone", "of-a-plugin", *typed])
    assert given == {"backbone": "of-a-plugin", "plugin": ("some_plugin",)}


def test_what_stands_after_another_option_is_no_plugin(folder):
    import_plugins(["--plugin", "json", "--out", "some_plugin"])
    assert not (folder / "imported").exists()


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        ("no_such_module", "cannot be imported (ModuleNotFoundError: No module named"),
        ("some_plugin.py", "; leave out .py"),
        ("broken", "cannot be imported (ZeroDivisionError: "),
        ("leaves", "cannot be imported (SystemExit: 3)"),
        ("", "cannot be imported (ValueError: "),
    ],
)
def test_one_that_cannot_be_imported_is_one_line(folder, module, reason):
    (folder / "broken.py").write_text("1 / 0")
    (folder / "leaves.py").write_text("raise SystemExit(3)")
    with pytest.raises(InputError) as error:
        import_plugins(["--plugin", module])
    assert f"--plugin {module}: " in str(error.value)
    assert reason in str(error.value)
    assert "\n" not in str(error.value)


def test_a_configuration_never_imports_one(folder):
    config = folder / "config.json"
    config.write_text(json.dumps({"backbone": "of-a-plugin", "plugin": ["some_plugin"]}))
    with pytest.raises(
        InputError, match="'of-a-plugin' is not known; pass --plugin some_plugin, if"
    ):
        parse_options(["--config", str(config)])
    assert not (folder / "imported").exists()
    options = parse_options(["--config", str(config), "--plugin", "some_plugin"])
    assert (options.backbone, options.plugin) == ("of-a-plugin", ("some_plugin",))


@pytest.mark.parametrize("value", [None, "x", 3, {}, [], [None]])
def test_what_a_file_says_of_plugins_may_be_anything(value):
    refuse_unregistered({"method": "agfn", "plugin": value}, "config.json")
    refuse_unregistered({"method": [[], 4], "backbone": {}, "plugin": ["x"]}, "config.json")
