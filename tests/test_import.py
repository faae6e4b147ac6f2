"""What ``import pyg_agfn`` and a command's ``--help`` load, and what the package offers."""

import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import pyg_agfn
import pyg_agfn.training
from pyg_agfn.commands import COMMANDS

SCRIPTS = sorted((Path(__file__).parents[1] / "scripts").glob("*.py"))
LARGE = {"torch", "torch_geometric", "torchvision", "torchmetrics", "numpy", "sklearn", "scipy"}
LARGE |= {"matplotlib", "lightning", "PIL"}


def loaded(code: str, *arguments: str) -> set[str]:
    """Top-level modules that a process has when the code is done."""
    code = f"import atexit, sys; atexit.register(lambda: print('\\n', *sys.modules)); {code}"
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    return {name.split(".")[0] for name in done.stdout.splitlines()[-1].split()}


@pytest.mark.parametrize("package", [pyg_agfn, pyg_agfn.training])
def test_every_name_is_there(package):
    for name in package.__all__:
        assert name in dir(package)
        assert getattr(package, name) is package.__dict__[name]
        assert not inspect.ismodule(getattr(package, name))  # of a file with the name


def test_another_name_is_not():
    with pytest.raises(AttributeError, match="'pyg_agfn' has no attribute 'AGFM'"):
        _ = pyg_agfn.AGFM


def test_nothing_large_is_loaded_before_it_is_asked_for():
    names = loaded("import pyg_agfn, pyg_agfn.training.options, pyg_agfn.training.command_line")
    assert "pyg_agfn" in names
    assert not LARGE & names


def test_a_layer_is_loaded_without_a_warning():
    names = loaded("from pyg_agfn import AGFN")
    assert "torch_geometric" in names
    assert not {"torchmetrics", "sklearn", "scipy", "matplotlib", "lightning"} & names


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_help_loads_nothing_large(script):
    names = loaded(
        "import runpy; runpy.run_path(sys.argv[1], run_name='__main__')", str(script), "--help"
    )
    assert not LARGE & names


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_mistyped_option_is_refused_before_torch_is_loaded(script):
    code = (
        "import runpy, sys, contextlib, io\n"
        "with contextlib.redirect_stderr(io.StringIO()) as said, contextlib.suppress(SystemExit):\n"
        "    runpy.run_path(sys.argv[1], run_name='__main__')\n"
        "assert said.getvalue().count('\\n') == 1 and 'error: ' in said.getvalue()\n"
        "print(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(script), "--mistyped"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert not LARGE & {name.split(".")[0] for name in done.stdout.split()}


def test_the_installed_command_lists_all():
    code = "from pyg_agfn.commands import main; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert all(f"\n  {name} " in done.stdout for name in COMMANDS)
    assert {"train", "evaluate", "predict", "plot", "reproduce"} <= COMMANDS.keys()
