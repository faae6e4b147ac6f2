"""The exceptions that scripts turn into a line and an exit code."""


class InputError(ValueError):
    """Bad input: one line that names the file, row or option, and the way out."""


class InterruptedRunError(Exception):
    """A run was stopped by a signal, and saved: one line that says how it goes on.

    Args:
        message: The line.
        code: Exit code, 128 and the signal's number.
    """

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code
