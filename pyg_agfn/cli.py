"""What the scripts share: errors as one line, and their exit codes."""

import argparse
import os
import sys
from collections.abc import Callable
from typing import NoReturn

from pyg_agfn.errors import InputError, InterruptedRunError


class OneLineParser(argparse.ArgumentParser):
    """Raises :class:`InputError` where argparse would print all options and exit."""

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message} (--help lists the options)")


def run_script(name: str, main: Callable[[], int]) -> NoReturn:
    """Runs a script and exits: with main's code, 2 for bad input, 130 after Ctrl-C."""
    try:
        code = main()
    except InputError as error:
        if os.environ.get("RANK", "0") == "0":  # of several processes, one says it
            print(f"{name}: error: {error}", file=sys.stderr)
        code = 2
    except InterruptedRunError as interruption:
        print(f"{name}: {interruption}", file=sys.stderr)
        code = interruption.code
    except KeyboardInterrupt:
        print(f"{name}: interrupted; what is saved is kept", file=sys.stderr)
        code = 130
    sys.exit(code)
