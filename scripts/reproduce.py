"""Runs a table or a figure of the paper.

The same as ``pyg-agfn reproduce``.
"""

from pyg_agfn.cli import run_script
from pyg_agfn.commands.reproduce import main

if __name__ == "__main__":
    run_script("reproduce.py", main)
