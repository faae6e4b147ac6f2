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
from types import ModuleType
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
        self._families: dict[str, str] = {}

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

    def register_family(self, family: str, module: str) -> None:
        """Makes every ``family/NAME`` known that a module knows.

        Args:
            family: What stands before the slash.
            module: Its function ``find(NAME)`` returns the object, or raises :class:`InputError`
                with a line that names what is near. It is imported when such a name is looked up.
        """
        self._families[family] = module

    def family_of(self, name: object) -> str | None:
        """The family of ``family/NAME``, whether it has such a name or not; else None."""
        family = name.partition("/")[0] if isinstance(name, str) and "/" in name else None
        return family if family in self._families else None

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
        family = self.family_of(name)
        if family is not None:
            found: T = importlib.import_module(self._families[family]).find(name[len(family) + 1 :])
            return found
        if name not in self._modules:
            known = ", ".join((*self, *(f"{family}/NAME" for family in self._families)))
            raise InputError(
                f"unknown {self.kind} {printable(repr(name), 80)}, choose one of {known}; one "
                "from outside the package needs --plugin, or an import of its module"
            )
        if name not in self._found:
            importlib.import_module(self._modules[name])
        return self._found[name]

    def __contains__(self, name: object) -> bool:
        if self.family_of(name) is None:
            return isinstance(name, str) and name in self._modules
        try:
            self[str(name)]
        except InputError:
            return False
        return True

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._modules))

    def __len__(self) -> int:
        return len(self._modules)


def _importable(module: str) -> str:
    """The name by which a module can be imported: of a script that is run, that of its file."""
    file = getattr(sys.modules.get("__main__"), "__file__", None)
    return Path(file).stem if module == "__main__" and file else module


_METHODS = "pyg_agfn.methods"
_NN = "pyg_agfn.nn"
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
        "rul": f"{_METHODS}.relative_uncertainty",
        "la-net": f"{_METHODS}.la_net",
        "batchformer": f"{_METHODS}.batchformer",
        "dlp": f"{_METHODS}.locality_preserving",
        "metacleaner": f"{_METHODS}.meta_cleaner",
        "ran": f"{_METHODS}.region_attention",
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

#: Feature extractors: functions of the images' channels, and of arguments by their names, to a
#: module with ``num_features``. Those of timm and torchvision have names with a slash.
BACKBONES: Registry[Callable[..., nn.Module]] = Registry(
    "backbone",
    {
        "small-cnn": f"{_NN}.backbones",
        "face-cnn": f"{_NN}.face_cnn",
        **dict.fromkeys(("resnet18", "resnet34", "resnet50", "resnet152"), f"{_NN}.resnets"),
        **dict.fromkeys(("resnet18-small", "resnet34-small"), f"{_NN}.resnets"),
    },
)
BACKBONES.register_family("timm", f"{_NN}.timm_backbones")
BACKBONES.register_family("torchvision", f"{_NN}.torchvision_backbones")

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


def import_plugin(module: str, option: str = "--plugin") -> ModuleType:
    """Imports a module of the user's. Only ever called with what the user typed.

    Modules of the current folder are found too, before installed ones.

    Args:
        module: Its name.
        option: What named it, for the message.

    Raises:
        InputError: There is none, or it cannot be imported.
    """
    if "" not in sys.path:
        sys.path.insert(0, "")
    try:
        return importlib.import_module(module)
    except (Exception, SystemExit) as error:  # whatever a module does when it is imported
        reason = f"{type(error).__name__}: {error}"
        hint = "; leave out .py" if module.endswith(".py") else ""
        raise InputError(f"{option} {module}: cannot be imported ({reason}){hint}") from None
