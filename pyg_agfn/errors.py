"""The exceptions that scripts print as one line, with an exit code."""

import os
from pathlib import Path


def printable(text: str, limit: int = 4000) -> str:
    """The text on one line, safe to print on a terminal.

    Characters that do not print, such as a newline, an escape sequence or half of a surrogate
    pair, are escaped, because names come from untrusted sources. The middle of a text of more than
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
    """Bad input: one line that names the file, row or option, and says how to fix it."""

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))


def as_path(value: object, name: str) -> Path:
    """A path from text or from a path-like object.

    Args:
        value: The value of the argument.
        name: The name of the argument, for the message.

    Raises:
        InputError: It is neither.
    """
    path = os.fspath(value) if isinstance(value, str | os.PathLike) else value
    if not isinstance(path, str):
        kind = "" if value is None else f" ({type(value).__name__})"
        raise InputError(f"{name} must be a path, got {printable(repr(value), 80)}{kind}")
    return Path(path)


class InterruptedRunError(Exception):
    """A run was stopped by a signal, and saved: one line that says how to resume it.

    Args:
        message: The line.
        code: Exit code, 128 and the signal's number.
    """

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code
