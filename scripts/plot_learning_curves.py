"""Draws the learning curves of several runs into one picture.

The same as ``pyg-agfn curves``.
"""

from pyg_agfn.cli import run_script
from pyg_agfn.commands.curves import main

if __name__ == "__main__":
    run_script("plot_learning_curves.py", main)
