import pytest

from pyg_agfn import register_method
from pyg_agfn.methods import Method
from pyg_agfn.registry import METHODS


@pytest.fixture
def registered():
    """Registers a method by a name for the time of a test."""
    names = []

    def add(name: str, method: type[Method]) -> type[Method]:
        names.append(name)
        return register_method(name)(method)

    yield add
    for name in names:
        METHODS.unregister(name)
