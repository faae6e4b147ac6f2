"""The names that options, tables and run folders know: methods, data sets, backbones, protocols.

Whatever is registered appears in all of them. A file outside the package adds one by a decorator::

    from pyg_agfn.registry import register_method

    @register_method("my-method")
    class MyMethod(Method): ...

This module imports nothing large: what is built in is imported when it is looked up.
"""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pyg_agfn.errors import InputError, printable

if TYPE_CHECKING:
    from torch import nn

    from pyg_agfn.datasets.reader import DatasetReader
    from pyg_agfn.evaluation.protocols import Protocol
    from pyg_agfn.methods.method import Method

T = TypeVar("T")
MethodType = TypeVar("MethodType", bound="Method")

#: What a name may be: it becomes part of options and of file names.
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,39}")


class Registry(Mapping[str, T]):
    """Objects by their names, in the order in which they were registered.

    Args:
        kind: What they are, in messages.
        builtin: The module of each one that is built in; it registers it when it is imported.
    """

    def __init__(self, kind: str, builtin: Mapping[str, str]) -> None:
        self.kind = kind
        self._modules = dict(builtin)
        self._builtin = frozenset(builtin)
        self._found: dict[str, T] = {}

    def register(self, name: str, module: str | None = None) -> Callable[[T], T]:
        """A decorator that makes the object known by the name.

        Args:
            name: Small letters, digits, ``-``, ``_`` and ``.``.
            module: Where it is from, if not from the object's own module.

        Raises:
            InputError: The name is taken, or is none.
        """
        if not isinstance(name, str) or not NAME.fullmatch(name):
            raise InputError(
                f"{self.kind} {name!r}: a name is of 1 to 40 small letters, digits, '-', '_', '.'"
            )

        def add(value: T) -> T:
            origin = _importable(module or str(getattr(value, "__module__", "?")))
            taken = self._modules.get(name)
            if taken is not None and taken != origin:
                raise InputError(f"{self.kind} {name!r} is registered already, by {taken}")
            self._modules[name] = origin
            self._found[name] = value
            return value

        return add

    def unregister(self, name: str) -> None:
        """Forgets a name that was registered; one that is built in stays."""
        if name not in self._builtin:
            self._modules.pop(name, None)
            self._found.pop(name, None)

    def plugin_of(self, name: str) -> str | None:
        """The module outside the package that registered the name; None for what is built in."""
        return None if name in self._builtin else self._modules.get(name)

    def __getitem__(self, name: str) -> T:
        """Raises :class:`InputError` for an unknown name."""
        if name not in self:
            known = ", ".join(self)
            raise InputError(
                f"unknown {self.kind} {printable(repr(name), 80)}, choose one of {known}; one "
                "from outside the package needs --plugin, or an import of its module"
            )
        if name not in self._found:
            importlib.import_module(self._modules[name])
        return self._found[name]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name in self._modules

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._modules))

    def __len__(self) -> int:
        return len(self._modules)


def _importable(module: str) -> str:
    """The name by which a module can be imported: of a script that is run, that of its file."""
    file = getattr(sys.modules.get("__main__"), "__file__", None)
    return Path(file).stem if module == "__main__" and file else module


_METHODS = "pyg_agfn.methods"
_BACKBONES = "pyg_agfn.nn.backbones"
_PROTOCOLS = "pyg_agfn.evaluation.protocols"

#: Training methods (:class:`pyg_agfn.methods.Method`), in the order of the results' tables.
METHODS: Registry[type[Method]] = Registry(
    "method",
    {
        "baseline": f"{_METHODS}.baseline",
        "label-smoothing": f"{_METHODS}.robust_losses",
        "gce": f"{_METHODS}.robust_losses",
        "center-loss": f"{_METHODS}.center_loss",
        "scn": f"{_METHODS}.self_cure",
        "eac": f"{_METHODS}.erasing_attention",
        "elr": f"{_METHODS}.early_learning",
        "ncr": f"{_METHODS}.neighbor_consistency",
        "sop": f"{_METHODS}.sparse_noise",
        "ssr": f"{_METHODS}.sample_selection",
        "deep-knn": f"{_METHODS}.deep_neighbors",
        "co-teaching": f"{_METHODS}.co_teaching",
        "curriculumnet": f"{_METHODS}.density_curriculum",
        "threshold-gcn": f"{_METHODS}.agfn",
        "agfn": f"{_METHODS}.agfn",
        "agfn-nlc": f"{_METHODS}.neighbor_correction.method",
    },
)

#: Readers of data sets (:class:`pyg_agfn.datasets.DatasetReader`).
DATASETS: Registry[DatasetReader] = Registry(
    "data set",
    {
        name: f"pyg_agfn.datasets.{module}"
        for name, module in (
            ("digits", "digits"),
            ("mnist", "mnist"),
            ("ferplus", "ferplus"),
            ("rafdb", "rafdb"),
            ("folder", "image_folder"),
        )
    },
)

#: Feature extractors: functions of the images' channels to a module with ``num_features``.
BACKBONES: Registry[Callable[[int], nn.Module]] = Registry(
    "backbone",
    dict.fromkeys(
        ("small-cnn", "resnet18", "resnet34", "resnet50", "resnet152"), "pyg_agfn.nn.backbones"
    ),
)

#: Protocols of evaluation (:class:`pyg_agfn.evaluation.Protocol`), the headline first.
PROTOCOLS: Registry[type[Protocol]] = Registry(
    "protocol", dict.fromkeys(("bank", "shuffled", "single", "class_sorted"), _PROTOCOLS)
)


def register_method(name: str) -> Callable[[type[MethodType]], type[MethodType]]:
    """A decorator that makes a subclass of :class:`pyg_agfn.methods.Method` known by the name.

    Raises:
        InputError: The name is taken, or is none.
    """

    def add(method: type[MethodType]) -> type[MethodType]:
        METHODS.register(name)(method)
        method.name = name
        return method

    return add


register_backbone = BACKBONES.register
register_protocol = PROTOCOLS.register


def import_plugin(module: str) -> None:
    """Imports a module that registers something. Only ever called with what the user typed.

    Modules of the current folder are found too, before installed ones.

    Raises:
        InputError: There is none, or it cannot be imported.
    """
    if "" not in sys.path:
        sys.path.insert(0, "")
    try:
        importlib.import_module(module)
    except (Exception, SystemExit) as error:  # whatever a module does when it is imported
        reason = f"{type(error).__name__}: {error}"
        hint = "; leave out .py" if module.endswith(".py") else ""
        raise InputError(f"--plugin {module}: cannot be imported ({reason}){hint}") from None
