"""Prints a table of the paper from a file of results.

The same as ``pyg-agfn render``.
"""

from pyg_agfn.cli import run_script
from pyg_agfn.commands.render import main

if __name__ == "__main__":
    run_script("render_results.py", main)
