"""Finds the labels of a run's training images that are likely wrong.

The same as ``pyg-agfn audit``.
"""

from pyg_agfn.cli import run_script
from pyg_agfn.commands.audit import main

if __name__ == "__main__":
    run_script("audit_labels.py", main)
