"""Trains classifiers on labels that may be wrong, with and without AGFN, and compares them."""

import sys

from rich.console import Console

from pyg_agfn.errors import InputError
from pyg_agfn.training import parse_options, train_methods


def main() -> int:
    """Returns the exit code: 0, 2 for bad input, 130 when interrupted."""
    try:
        train_methods(parse_options(), Console())
    except InputError as error:
        print(f"train_pyg.py: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("train_pyg.py: interrupted; finished runs are kept", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
