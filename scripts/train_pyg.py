"""Trains classifiers on labels that may be wrong, and compares them.

The same as ``pyg-agfn train``.
"""

from pyg_agfn.cli import run_script
from pyg_agfn.commands.train import main

if __name__ == "__main__":
    run_script("train_pyg.py", main)
