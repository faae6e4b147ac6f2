"""Packages that are no dependency but part of an extra: asked for where they are needed."""

import importlib.util

from pyg_agfn.errors import InputError

#: What each package is for, and the extra that installs it.
OPTIONAL = {
    "matplotlib": ("pictures are drawn by matplotlib", "plots"),
    "bokeh": ("pages are written by bokeh", "plots"),
    "timm": ("backbones timm/NAME are built by timm", "timm"),
    "fastapi": ("the server's routes are fastapi's", "serve"),
    "prometheus_client": ("the server's metrics are written by prometheus-client", "serve"),
    "python_multipart": ("uploads are read by python-multipart", "serve"),
    "uvicorn": ("the server listens by uvicorn", "serve"),
    "onnxruntime": ("exported models are run by onnxruntime", "serve"),
    "onnx": ("models are written by onnx", "export"),
    "onnxscript": ("models are written by onnxscript", "export"),
    "openTSNE": ("t-SNE of this many points is computed by openTSNE", "plots"),
}


def missing(package: str) -> str:
    """What to say of a package that is not installed; empty if it is."""
    if importlib.util.find_spec(package) is not None:
        return ""
    purpose, extra = OPTIONAL[package]
    return f'{purpose}, which is not installed: pip install "pyg_agfn[{extra}]"'


def require(package: str) -> None:
    """Stops where a package is not installed.

    Raises:
        InputError: It is not; the line says which extra installs it.
    """
    if line := missing(package):
        raise InputError(line)
