"""Classifies images with a trained run.

The same as ``pyg-agfn predict``.
"""

from pyg_agfn.cli import run_script
from pyg_agfn.commands.predict import main

if __name__ == "__main__":
    run_script("predict.py", main)
