"""The values of options: what a Python user or a JSON file gives, brought to a field's type."""

import numbers
import os
import sys
import types
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

#: What an option that is no path and no tuple ends up as.
PLAIN = (bool, int, float, str)
#: What a value of a type is called in an error.
TYPE_NAMES = {int: "a whole number", float: "a number", bool: "true or false", Path: "a path"}


def converted(value: Any, hint: Any) -> Any:
    """The value in its field's type, where it stands for one; else as it is.

    Text and path-like objects become paths, a text or an iterable of texts a tuple, and NumPy's
    numbers and booleans Python's.
    """
    kind = without_none(hint)
    if get_origin(kind) is tuple:
        if isinstance(value, str | numbers.Real) and not isinstance(value, bool):
            value = (value,)
        if isinstance(value, Iterable) and not isinstance(value, bytes | Mapping):
            return tuple(converted(item, get_args(kind)[0]) for item in value)
        return value
    if kind is Path and isinstance(value, str | os.PathLike):
        path = os.fspath(value)
        return Path(path) if isinstance(path, str) else value
    if type(value) in PLAIN:
        return value
    if isinstance(value, str):  # such as NumPy's, or an enum's
        return str.__str__(value)
    numpy = sys.modules.get("numpy")  # without it, nothing is of its types
    if numpy is not None and isinstance(value, numpy.bool_):
        return bool(value)
    if isinstance(value, numbers.Integral):
        return int(value)
    return float(value) if isinstance(value, numbers.Real) else value


def fits(value: Any, hint: Any) -> bool:
    """Whether a value has its field's type."""
    if get_origin(hint) in (Union, types.UnionType):
        return any(fits(value, kind) for kind in get_args(hint))
    if get_origin(hint) is Literal:
        return isinstance(value, str) and value in get_args(hint)
    if get_origin(hint) is tuple:
        return isinstance(value, tuple) and all(fits(v, get_args(hint)[0]) for v in value)
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e38
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << 53
    if hint is Path:
        return isinstance(value, Path) and _is_path(value)
    return isinstance(value, hint)


def describe_type(hint: Any) -> str:
    """What a value of a field has to be."""
    kind = without_none(hint)
    if get_origin(kind) is tuple:
        kind = get_args(kind)[0]
    if get_origin(kind) is Literal:
        return f"one of {', '.join(get_args(kind))}"
    return TYPE_NAMES.get(kind, "text")


def shown(value: Any, hint: Any) -> str:
    """A value in an error: as it is typed where it has its field's type, else with its own."""
    kind = without_none(hint)
    if isinstance(value, tuple) and get_origin(kind) is tuple:
        return " ".join(shown(item, get_args(kind)[0]) for item in value) or "none"
    of_text = get_origin(kind) is Literal or kind in (str, Path)
    if value is None or fits(value, hint) or (isinstance(value, str | Path) and of_text):
        return str(value)
    text = repr(value)
    return f"{text if len(text) <= 80 else f'{text[:77]}...'} ({type(value).__name__})"


def without_none(hint: Any) -> Any:
    """``T`` of ``T | None``."""
    if get_origin(hint) in (Union, types.UnionType):
        return next(kind for kind in get_args(hint) if kind is not type(None))
    return hint


def _is_path(value: Path) -> bool:
    """Whether the system can be asked for it."""
    try:
        return b"\0" not in os.fsencode(value)
    except UnicodeEncodeError:
        return False
