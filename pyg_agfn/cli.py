"""What the scripts share: errors as one line, and their exit codes."""

import argparse
import io
import os
import sys
import warnings
from collections.abc import Callable
from typing import NoReturn

from rich.console import Console

from pyg_agfn.errors import InputError, InterruptedRunError, printable


class OneLineParser(argparse.ArgumentParser):
    """Raises :class:`InputError` where argparse would print all options and exit."""

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message} (--help lists the options)")


def flag_of(name: str) -> str:
    """An option as it is typed, by its name in Python."""
    return "--" + name.replace("_", "-")


def make_console() -> Console:
    """A console that prints names as they are: ``[b]`` in one is no markup, ``:cat:`` no cat."""
    return Console(markup=False, emoji=False)


def run_script(name: str, main: Callable[[], int]) -> NoReturn:
    """Runs a script and exits: with main's code, 2 for bad input, 130 after Ctrl-C."""
    # Pillow's name no file; what is wrong with an image is said by whoever reads it.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a name that its encoding lacks is no error
            stream.reconfigure(errors="backslashreplace")
    try:
        code = main()
        sys.stdout.flush()
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
    except BrokenPipeError:  # who reads it, such as head, has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 141
    except OSError as error:
        where = "" if error.filename is None else f"{error.filename}: "
        print(f"{name}: error: {printable(where)}{error.strerror or error}", file=sys.stderr)
        code = 2
    sys.exit(code)
