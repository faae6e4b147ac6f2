"""Modules outside the package that register methods, data sets, backbones or protocols.

They are imported where the user types ``--plugin``, before the command line is read, so that their
names are among the choices. A file never has a module imported, whoever wrote it.
"""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pyg_agfn.backbone_args import is_own_class
from pyg_agfn.errors import InputError, printable
from pyg_agfn.registry import BACKBONES, DATASETS, METHODS, Registry, import_plugin

#: The registries that options name, by the option.
REGISTRIES: dict[str, Registry[Any]] = {
    "dataset": DATASETS,
    "backbone": BACKBONES,
    "method": METHODS,
}
#: What ``--help`` says of ``--plugin``.
HELP = "Python modules that register methods, data sets, backbones or protocols"


def import_plugins(arguments: Sequence[str] | None = None) -> None:
    """Imports the modules that a command line names.

    Args:
        arguments: The command line; that of the process if not given.

    Raises:
        InputError: A module cannot be imported.
    """
    for module in _named_modules(sys.argv[1:] if arguments is None else arguments):
        import_plugin(module)


def add_plugin_option(parser: argparse.ArgumentParser) -> None:
    """Gives a parser ``--plugin``, which :func:`import_plugins` has read before."""
    parser.add_argument("--plugin", nargs="+", metavar="MODULE", default=[], help=HELP)


def add_backbone_option(parser: argparse.ArgumentParser) -> None:
    """Gives a parser of runs that are read ``--backbone module:Class``."""
    parser.add_argument(
        "--backbone",
        type=_own_class,
        metavar="MODULE:CLASS",
        help="the class of a run whose backbone is your own, which is imported",
    )


def _own_class(text: str) -> str:
    if not is_own_class(text):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no module:Class; the name of any other backbone is in the run's folder"
        )
    return text


def _named_modules(arguments: Sequence[str]) -> Iterator[str]:
    follows = False
    for word in arguments:
        flag, _, value = word.partition("=")
        if word.startswith("-"):
            follows = word == "--plugin"
            if flag == "--plugin" and value:
                yield value
        elif follows:
            yield word


def refuse_unregistered(options: Mapping[str, Any], source: str) -> None:
    """Stops where a file needs a plugin that the user has not passed.

    Args:
        options: What the file says; ``plugin`` has the modules that its run was made with.
        source: What the file is called in a message.

    Raises:
        InputError: A name is not registered, and the file names a plugin; the line says which.
    """
    modules = options.get("plugin")
    if not isinstance(modules, list | tuple) or not modules:
        return
    for name, registry in REGISTRIES.items():
        value = options.get(name)
        for item in value if isinstance(value, list | tuple) else [value]:
            if isinstance(item, str) and item not in registry:
                passed = " ".join(printable(str(module), 80) for module in modules[:16])
                raise InputError(
                    f"{source}: {registry.kind} {printable(repr(item), 80)} is not known; pass "
                    f"--plugin {passed}, if you trust that code"
                )
