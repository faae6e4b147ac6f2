"""Writes a trained run as one file for other programs: ONNX, or an exported PyTorch program.

The same as ``pyg-agfn export``.
"""

from pyg_agfn.cli import run_script
from pyg_agfn.commands.export import main

if __name__ == "__main__":
    run_script("export.py", main)
