"""Evaluates trained runs by every protocol.

The same as ``pyg-agfn evaluate``.
"""

from pyg_agfn.cli import run_script
from pyg_agfn.commands.evaluate import main

if __name__ == "__main__":
    run_script("evaluate.py", main)
