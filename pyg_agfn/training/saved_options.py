"""Options from a ``config.json``: checked and merged as those of a command line."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pyg_agfn.backbone_args import is_own_class
from pyg_agfn.errors import InputError, printable
from pyg_agfn.plugins import refuse_unregistered
from pyg_agfn.runs.json_files import read_json
from pyg_agfn.training.merge_options import merge_options
from pyg_agfn.training.options import TrainOptions
from pyg_agfn.training.renamed_options import translate


def load_options(path: Path, given: Mapping[str, Any] | None = None) -> TrainOptions:
    """The options of a file, by old or new names, under those that are given.

    Raises:
        InputError: The file cannot be read, or an option is unknown, cannot be or has no effect.
    """
    return merge_options(given or {}, read_options(path)[0])


def read_options(path: Path) -> tuple[dict[str, Any], list[str]]:
    """What a file says by today's names, and a line for each old name.

    Raises:
        InputError: The file cannot be read, an option is unknown, or a plugin is needed.
    """
    try:
        saved = read_json(path)
    except InputError as error:
        raise InputError(f"--config {error}") from None
    try:
        options, lines = translate(saved)
    except InputError as error:
        raise InputError(f"--config {path}: {error}") from None
    unknown = sorted(set(options) - {spec.name for spec in dataclasses.fields(TrainOptions)})
    if unknown:
        raise InputError(f"--config {path}: unknown option {', '.join(unknown)}")
    refuse_unregistered(options, f"--config {path}")
    backbone = options.get("backbone")
    if isinstance(backbone, str) and is_own_class(backbone):
        raise InputError(
            f"--config {path}: backbone {printable(backbone, 80)}: a file never has a module "
            "imported; write custom there, and give --backbone on the command line"
        )
    return options, lines
