"""The commands: ``pyg-agfn NAME``, or the scripts of the same names.

A command reads its command line before it imports torch.
"""

import argparse
import importlib
import sys

from pyg_agfn import __version__
from pyg_agfn.cli import OneLineParser, run_script

#: Each command by its name, which is its module's, and what it does.
COMMANDS = {
    "train": "train classifiers on labels that may be wrong, and compare them",
    "evaluate": "measure runs by every protocol",
    "predict": "classify images, and show the training images behind each answer",
    "serve": "answer images over HTTP",
    "export": "write a run as one file for other programs: ONNX, or a PyTorch program",
    "audit": "find the labels that are likely wrong, and what they should be",
    "plot": "draw how runs distribute the same images in feature space",
    "curves": "draw the learning curves of runs",
    "reproduce": "run a table or a figure of the paper",
    "render": "print a table of the paper from a file of results",
}


def main() -> None:
    """Runs the command that the command line names, and exits with its code."""
    name = sys.argv[1] if len(sys.argv) > 1 else "--help"
    if name not in COMMANDS:
        run_script("pyg-agfn", lambda: _show_commands([name]))
    sys.argv = [f"pyg-agfn {name}", *sys.argv[2:]]
    run_script(sys.argv[0], importlib.import_module(f"{__name__}.{name}").main)


def _show_commands(arguments: list[str]) -> int:
    listed = "\n".join(f"  {name:<11}{does}" for name, does in COMMANDS.items())
    parser = OneLineParser(
        prog="pyg-agfn",
        usage="pyg-agfn COMMAND [options]",
        description=f"Learn from labels that may be wrong.\n\ncommands:\n{listed}",
        epilog="pyg-agfn COMMAND --help lists the options of a command.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"pyg_agfn {__version__}")
    parser.add_argument("command", choices=COMMANDS, metavar="COMMAND", help="one of these")
    parser.parse_args(arguments)
    return 0
