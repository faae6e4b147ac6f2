"""The exceptions that scripts turn into a line and an exit code."""


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


class InterruptedRunError(Exception):
    """A run was stopped by a signal, and saved: one line that says how it goes on.

    Args:
        message: The line.
        code: Exit code, 128 and the signal's number.
    """

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code
