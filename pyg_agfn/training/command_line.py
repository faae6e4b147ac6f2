"""Training options from the command line and from saved configurations."""

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from pyg_agfn.cli import OneLineParser, flag_of
from pyg_agfn.errors import InputError
from pyg_agfn.registry import DATASETS
from pyg_agfn.runs.files import read_json
from pyg_agfn.training.defaults import dataset_defaults
from pyg_agfn.training.merge_options import merge_options
from pyg_agfn.training.option_values import without_none
from pyg_agfn.training.options import PLACES, TrainOptions


def parse_options(arguments: Sequence[str] | None = None, refuse: bool = True) -> TrainOptions:
    """Options from the command line; over ``--config``'s, over the data set's, over the defaults.

    Args:
        arguments: The command line; that of the process if not given.
        refuse: Whether to refuse what has no effect (:func:`~pyg_agfn.training.merge_options`).

    Raises:
        InputError: Unknown option or value, an option that would have no effect, or a
            configuration that cannot be read.
    """
    given = vars(_parser().parse_args(arguments))
    if "resume" in given:
        raise InputError("--resume is an option of train_pyg.py")
    config = given.pop("config", None)
    return merge_options(given, _read_config(config) if config else {}, refuse)


def parse_resume(arguments: Sequence[str] | None = None) -> tuple[Path, dict[str, Any]] | None:
    """The run folder of ``--resume`` and the options given with it; None without ``--resume``.

    Raises:
        InputError: Options with ``--resume`` that are the run's own.
    """
    given = vars(_parser().parse_args(arguments))
    folder = given.pop("resume", None)
    if folder is None:
        return None
    own = sorted(given.keys() - (set(PLACES) - {"out"}))
    if own:
        names = " ".join(map(flag_of, own))
        raise InputError(f"--resume continues with the run's own options: leave out {names}")
    return folder, given


def _parser() -> OneLineParser:
    parser = OneLineParser(
        description="Train image classifiers on labels that may be wrong, and compare them.",
        epilog="An option that would have no effect on the run is refused.",
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="options as JSON")
    parser.add_argument(
        "--resume", type=Path, metavar="RUN", help="continue the run of this folder"
    )
    hints = get_type_hints(TrainOptions)
    for spec in dataclasses.fields(TrainOptions):
        flag = flag_of(spec.name)
        help_text = spec.metadata["help"] + _default_text(spec.name, spec.default)
        parser.add_argument(flag, **_argument(hints[spec.name], spec), help=help_text)
    return parser


def _argument(hint: Any, spec: "dataclasses.Field[Any]") -> dict[str, Any]:
    """What argparse is told of a field."""
    if hint is bool:
        return {"action": argparse.BooleanOptionalAction}
    kind = without_none(hint)
    choices = spec.metadata.get("choices", tuple)()
    if get_origin(kind) is tuple:
        return {"nargs": "+", "choices": choices} if choices else {"nargs": "+"}
    if get_origin(kind) is Literal:
        return {"choices": get_args(kind)}
    if choices:
        return {"choices": choices}
    return {"type": kind, "metavar": kind.__name__.upper()}


def _default_text(name: str, default: Any) -> str:
    """The default, and each data set's own, for the help."""
    of_datasets = {key: dataset_defaults(key) for key in DATASETS}
    own = [f"{key}: {values[name]}" for key, values in of_datasets.items() if name in values]
    if default is None and not own:
        return ""
    shown = " ".join(default) if isinstance(default, tuple) else default
    return f" (default: {'; '.join([str(shown), *own])})"


def _read_config(path: Path) -> dict[str, Any]:
    try:
        config = read_json(path)
    except InputError as error:
        raise InputError(f"--config {error}") from None
    unknown = sorted(set(config) - {spec.name for spec in dataclasses.fields(TrainOptions)})
    if unknown:
        raise InputError(f"--config {path}: unknown option {', '.join(unknown)}")
    return config
