"""Draws how runs distribute the same images in feature space.

The same as ``pyg-agfn plot``.
"""

from pyg_agfn.cli import run_script
from pyg_agfn.commands.plot import main

if __name__ == "__main__":
    run_script("plot_tsne.py", main)
