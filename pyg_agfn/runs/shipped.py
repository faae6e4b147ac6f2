"""Trained models that the package brings, each with a model card beside its weights."""

import os
from pathlib import Path

#: Each model by its name.
SHIPPED = {"digits": Path(__file__).parents[1] / "shipped" / "digits"}
#: What ``--help`` says of an option that names a run.
HELP = (
    "folder of a run, a file that export.py wrote as .onnx, or a model that the package brings: "
    f"{', '.join(SHIPPED)}"
)


def run_folder(text: str) -> Path:
    """The folder that a command line names: a path, or the name of a model if there is no such."""
    if text in SHIPPED and not os.path.lexists(text):
        return SHIPPED[text]
    return Path(text)
