"""What a field of the training options is, apart from its type."""

from dataclasses import field
from typing import Any


def option(default: Any, help: str, group: str, **metadata: Any) -> Any:
    """A field with its help text and its group on the command line.

    ``hidden`` options are for Python and ``--config``: the tables show that they win nothing.
    """
    return field(default=default, metadata={"help": help, "group": group, **metadata})
