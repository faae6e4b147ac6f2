"""Arguments of a backbone's constructor, as ``NAME=VALUE``. Imports nothing large."""

import json
import math
import re
from collections.abc import Iterable, Mapping

from pyg_agfn.errors import InputError, printable

Scalar = bool | int | float | str | None

#: What an argument may be called, and how many there may be.
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
MOST = 32
#: The largest whole number, which may be a number of layers, and the longest text.
LARGEST, LONGEST = 4096, 200
#: ``module:Class`` of the user's own code.
OWN_CLASS = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
#: What the images, the classes or ``--weights`` say already, or what would read files.
RESERVED = frozenset(
    {
        "cache_dir",
        "checkpoint_path",
        "features_only",
        "in_channels",
        "in_chans",
        "num_classes",
        "weights",
        "weights_backbone",
    }
)


def parse_args(texts: Iterable[str]) -> dict[str, Scalar]:
    """The arguments by their names. A value is JSON, or else a text.

    Raises:
        InputError: One is no ``NAME=VALUE``, comes twice, or has a value that no run folder keeps.
    """
    found: dict[str, Scalar] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise InputError(f"--backbone-arg {printable(text, 80)}: write NAME=VALUE")
        if name in found:
            raise InputError(f"--backbone-arg {printable(name, 80)} is given twice")
        try:
            found[name] = json.loads(value)
        except (ValueError, RecursionError):
            found[name] = value
    if fault := fault_in(found):
        raise InputError(f"--backbone-arg {fault}")
    return found


def format_args(arguments: Mapping[str, object]) -> tuple[str, ...]:
    """The same as texts, for :func:`parse_args`."""
    return tuple(f"{name}={json.dumps(value, default=str)}" for name, value in arguments.items())


def shown_args(arguments: Mapping[str, Scalar]) -> str:
    """The arguments in a message."""
    return " ".join(
        f"{name}={value if isinstance(value, str) else json.dumps(value)}"
        for name, value in arguments.items()
    )


def fault_in(arguments: object) -> str:
    """What is wrong with arguments that a file or a user gives; empty if nothing is."""
    if not isinstance(arguments, dict):
        return "must be names with values"
    if len(arguments) > MOST:
        return f"is given {len(arguments)} times, where {MOST} are the most"
    for name, value in arguments.items():
        shown = printable(str(name), 80)
        if not isinstance(name, str) or not NAME.fullmatch(name):
            return f"{shown}: is no name of an argument"
        if isinstance(value, str) and len(value) > LONGEST:
            return f"{shown}: has more than {LONGEST} characters"
        if isinstance(value, int) and abs(value) > LARGEST:
            return f"{shown}: is larger than {LARGEST}"
        if isinstance(value, float) and not math.isfinite(value):
            return f"{shown}: is not finite"
        if value is not None and not isinstance(value, bool | int | float | str):
            return f"{shown}: must be a number, a text, true, false or null"
    return ""


def refuse_reserved(arguments: Mapping[str, Scalar]) -> None:
    """Stops at an argument that is not for the user of a registered backbone.

    Raises:
        InputError: It is of :data:`RESERVED`, or about pretrained weights.
    """
    for name in arguments:
        if name in RESERVED or name.startswith("pretrained"):
            raise InputError(
                f"--backbone-arg {name}: cannot be given; channels and classes are those of the "
                "images, and --weights has weights loaded"
            )


def is_own_class(backbone: str) -> bool:
    """Whether a backbone is ``module:Class``, which is imported where the user has typed it."""
    return OWN_CLASS.fullmatch(backbone) is not None
