"""Serves a trained run over HTTP.

The same as ``pyg-agfn serve``.
"""

from pyg_agfn.cli import run_script
from pyg_agfn.commands.serve import main

if __name__ == "__main__":
    run_script("serve.py", main)
