"""The exceptions that scripts turn into a line and an exit code."""

import os
from pathlib import Path


def printable(text: str, limit: int = 4000) -> str:
    """The text on one line, as a terminal can be given it.

    What does not print, such as a newline, an escape sequence or half of a surrogate pair, is
    escaped: names come from files of untrusted sources. The middle of a text of more than
    ``limit`` characters is left out.
    """
    if len(text) > limit:
        text = f"{text[: limit // 2]} ... {text[-limit // 2 :]}"
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text
    )


class InputError(ValueError):
    """Bad input: one line that names the file, row or option, and the way out."""

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))


def as_path(value: object, name: str) -> Path:
    """A path from text or from a path-like object.

    Args:
        value: What was given.
        name: What the argument is called.

    Raises:
        InputError: It is something else.
    """
    path = os.fspath(value) if isinstance(value, str | os.PathLike) else value
    if not isinstance(path, str):
        kind = "" if value is None else f" ({type(value).__name__})"
        raise InputError(f"{name} must be a path, got {printable(repr(value), 80)}{kind}")
    return Path(path)


class InterruptedRunError(Exception):
    """A run was stopped by a signal, and saved: one line that says how it goes on.

    Args:
        message: The line.
        code: Exit code, 128 and the signal's number.
    """

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code
