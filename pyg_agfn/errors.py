"""The one exception that scripts turn into a line and exit code 2."""


class InputError(ValueError):
    """Bad input: one line that names the file, row or option, and the way out."""
