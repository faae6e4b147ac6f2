"""What the scripts share: errors as one line, their exit codes, and what reaches a terminal."""

import argparse
import io
import os
import sys
import warnings
from collections.abc import Callable
from typing import Any, NoReturn

from rich.console import Console
from rich.text import Text

from pyg_agfn.errors import InputError, InterruptedRunError, printable
from pyg_agfn.extras import OPTIONAL, missing

#: Said at the end of every script's ``--help``.
EXIT_CODES = (
    "exit codes: 0 done; 1 done, but for images or runs that are named; 2 bad input or no room, in "
    "one line; 130 Ctrl-C; 141 the reader of the output has gone; 143 SIGTERM"
)


class OneLine:
    """A parser that raises :class:`InputError` where argparse prints all options and exits.

    The help ends in :data:`EXIT_CODES`.
    """

    def __init__(self, *, epilog: str = "", **settings: Any) -> None:
        super().__init__(  # type: ignore[call-arg]
            epilog=f"{epilog} {EXIT_CODES}".strip(), **settings
        )

    def error(self, message: str) -> NoReturn:
        """Raises :class:`InputError`."""
        raise InputError(f"{message} (--help lists the options)")


class OneLineParser(OneLine, argparse.ArgumentParser):
    """argparse's parser with errors of one line."""


def flag_of(name: str) -> str:
    """An option as it is typed, by its name in Python."""
    return "--" + name.replace("_", "-")


def warn(line: str) -> None:
    """Says one line on standard error; of several processes, one says it."""
    if os.environ.get("RANK", "0") == "0":
        print(f"{os.path.basename(sys.argv[0])}: {printable(line)}", file=sys.stderr)


class PlainConsole(Console):
    """Prints names as they are: ``[b]`` in one is no markup, ``:cat:`` no cat.

    What does not print, such as an escape sequence in a file of an untrusted source, is escaped in
    all that is printed as text: lines, cells, titles and captions.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(markup=False, emoji=False, **settings)

    def render_str(self, text: str, **settings: Any) -> Text:
        """Text as Rich is to show it."""
        lines = (printable(line, max(len(line), 1)) for line in text.split("\n"))
        return super().render_str("\n".join(lines), **settings)


def make_console() -> Console:
    """The console of every script."""
    return PlainConsole()


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
        print(f"{name}: {printable(str(interruption))}", file=sys.stderr)
        code = interruption.code
    except KeyboardInterrupt:
        print(f"{name}: interrupted; what is saved is kept", file=sys.stderr)
        code = 130
    except BrokenPipeError:  # who reads it, such as head, has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 141
    except OSError as error:
        where = "" if error.filename is None else f"{error.filename}: "
        reason = printable(str(error.strerror or error))
        print(f"{name}: error: {printable(where)}{reason}", file=sys.stderr)
        code = 2
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in OPTIONAL:
            raise
        print(f"{name}: error: {missing(package)}", file=sys.stderr)
        code = 2
    except MemoryError:
        print(f"{name}: error: there is not enough memory for this", file=sys.stderr)
        code = 2
    sys.exit(code)
