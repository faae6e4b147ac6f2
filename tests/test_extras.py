import pytest

from pyg_agfn import extras
from pyg_agfn.errors import InputError


def test_what_is_installed_is_not_missing():
    assert extras.missing("matplotlib") == ""
    extras.require("matplotlib")


def test_what_is_not_installed_is_a_line_that_says_the_extra(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    for package, (_, extra) in extras.OPTIONAL.items():
        line = rf'not installed: pip install "pyg_agfn\[{extra}\]"$'
        with pytest.raises(InputError, match=line):
            extras.require(package)
