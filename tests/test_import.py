"""What ``import pyg_agfn`` loads and what it exports."""

import subprocess
import sys

import pytest

import pyg_agfn


@pytest.mark.parametrize("name", pyg_agfn.__all__)
def test_every_name_is_there(name):
    assert getattr(pyg_agfn, name).__name__ == name
    assert name in dir(pyg_agfn)


def test_another_name_is_not():
    with pytest.raises(AttributeError, match="'pyg_agfn' has no attribute 'AGFM'"):
        _ = pyg_agfn.AGFM


def test_nothing_large_is_loaded_before_it_is_asked_for():
    code = (
        "import sys, torch, torch_geometric; before = set(sys.modules); import pyg_agfn; "
        "print(*sorted({name.split('.')[0] for name in set(sys.modules) - before}))"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True
    )
    large = {"torchvision", "torchmetrics", "sklearn", "scipy", "matplotlib", "lightning", "PIL"}
    assert not large & {*done.stdout.split()}
