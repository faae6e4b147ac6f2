"""Training options from the command line: flat flags under the headings of their groups.

`jsonargparse <https://jsonargparse.readthedocs.io>`_ converts what is typed by the type hints of
:class:`~pyg_agfn.training.TrainOptions`, and knows which options were given.
"""

import argparse
import dataclasses
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from jsonargparse import ArgumentParser

from pyg_agfn.backbone_args import is_own_class
from pyg_agfn.cli import OneLine, flag_of, warn
from pyg_agfn.errors import InputError
from pyg_agfn.plugins import import_plugins
from pyg_agfn.training.defaults import DATASET_DEFAULTS
from pyg_agfn.training.merge_options import merge_options
from pyg_agfn.training.option_values import converted, describe_type, without_none
from pyg_agfn.training.options import PLACES, TrainOptions
from pyg_agfn.training.renamed_options import OLD_NAMES, RENAMED, translate
from pyg_agfn.training.saved_options import read_options

#: Headings of the help, and an example of each.
GROUPS = {
    "data": "--dataset folder --root photos --noise-file labels.txt --image-size 64",
    "model": "--backbone resnet34 --feature-dim 256",
    "method": "--method baseline agfn",
    "optimization": "--epochs 60 --batch-size 128 --lr 0.05 --precision bf16",
    "evaluation": "--bank-size 1024 --eval-draws 20",
    "run": "--seed 1 --device cuda:1 --out runs/mine",
}


def parse_options(arguments: Sequence[str] | None = None, refuse: bool = True) -> TrainOptions:
    """Options from the command line; over ``--config``'s, over the data set's, over the defaults.

    Args:
        arguments: The command line; that of the process if not given.
        refuse: Whether to refuse what has no effect (:mod:`pyg_agfn.training.merge_options`).

    Raises:
        InputError: Unknown option or value, an option that would have no effect, or a
            configuration that cannot be read.
    """
    return options_of(parse_given(arguments), refuse)


def parse_resume(arguments: Sequence[str] | None = None) -> tuple[Path, dict[str, Any]] | None:
    """The run folder of ``--resume`` and the options given with it; None without ``--resume``.

    Raises:
        InputError: Options with ``--resume`` that are the run's own.
    """
    return resume_of(parse_given(arguments))


def parse_given(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """What a command line gives, and nothing else, by today's names; warns of old names.

    Modules of ``--plugin`` are imported first.

    Raises:
        InputError: Unknown option or value.
    """
    import_plugins(arguments)
    parsed = OptionParser().parse_args(arguments, defaults=False).as_dict()
    hints = {"config": Path, "resume": Path, **get_type_hints(TrainOptions)}
    typed = {name: converted(value, hints.get(name, str)) for name, value in parsed.items()}
    given, lines = translate(typed)
    for line in lines:
        warn(line)
    return given


def options_of(given: Mapping[str, Any], refuse: bool = True) -> TrainOptions:
    """The options of what is given (:func:`parse_given`); see :func:`parse_options`."""
    given = dict(given)
    if "resume" in given:
        raise InputError("--resume is an option of train_pyg.py")
    config = given.pop("config", None)
    saved, lines = read_options(config) if config else ({}, [])
    if lines:
        warn(f"--config {config}: {'; '.join(lines)}")
    return merge_options(given, saved, refuse)


def resume_of(given: Mapping[str, Any]) -> tuple[Path, dict[str, Any]] | None:
    """The run to resume of what is given (:func:`parse_given`); see :func:`parse_resume`."""
    given = dict(given)
    folder = given.pop("resume", None)
    if folder is None:
        return None
    kept = set(PLACES) - {"out"}
    if is_own_class(str(given.get("backbone", ""))):  # which the folder does not name
        kept.add("backbone")
    own = sorted(given.keys() - kept)
    if own:
        names = " ".join(map(flag_of, own))
        raise InputError(f"--resume continues with the run's own options: leave out {names}")
    return folder, given


class OptionParser(OneLine, ArgumentParser):
    """The options of training. What is not typed is not in the result."""

    def __init__(self) -> None:
        super().__init__(
            description="Train image classifiers on labels that may be wrong, and compare them.",
            usage="%(prog)s [--option value ...]",
            epilog="An option that would have no effect on the run is refused.",
            formatter_class=argparse.HelpFormatter,
            allow_abbrev=False,
        )
        specs = dataclasses.fields(TrainOptions)
        hints = get_type_hints(TrainOptions)
        for title, example in GROUPS.items():
            group = self.add_argument_group(title, f"such as {example}")
            for spec in specs:
                if spec.metadata["group"] == title:
                    group.add_argument(flag_of(spec.name), **_argument(hints[spec.name], spec))
            if title == "run":
                group.add_argument("--config", metavar="FILE", help="options as JSON")
                group.add_argument("--resume", metavar="RUN", help="continue the run of a folder")
        for name in OLD_NAMES:
            if name not in hints:
                kind = _type(hints.get(RENAMED.get(name, ""), str))
                self.add_argument(flag_of(name), type=kind, help=argparse.SUPPRESS)
        self._hints = hints

    def error(self, message: str, ex: Exception | None = None) -> Any:
        """Says what an option must be, where jsonargparse names Python's type."""
        found = re.match(r'Parser key "(\w+)".*(?:Got|Given) value: (.*)', message, re.DOTALL)
        if found is not None:
            rule = describe_type(self._hints[RENAMED.get(found[1], found[1])])
            message = f"{flag_of(found[1])} must be {rule}, got {found[2]}"
        # Versions differ in the case of the first letter.
        super().error(" ".join((message[:1].lower() + message[1:]).split()))


def _argument(hint: Any, spec: "dataclasses.Field[Any]") -> dict[str, Any]:
    """What the parser is told of a field."""
    kind = without_none(hint)
    several = get_origin(kind) is tuple
    item = get_args(kind)[0] if several else kind
    told: dict[str, Any] = {"help": argparse.SUPPRESS}
    if not spec.metadata.get("hidden"):
        told["help"] = spec.metadata["help"] + _default_text(spec.name, spec.default)
    choices = spec.metadata.get("choices")
    if item is bool:
        told["action"] = argparse.BooleanOptionalAction
    elif get_origin(item) is Literal:
        told["choices"] = get_args(item)
    elif choices is not None:
        told["choices"] = choices() if callable(choices) else choices
    else:
        told |= {"type": _type(item), "metavar": item.__name__.upper()}
    if spec.metadata.get("append"):
        told |= {"action": "append", "metavar": "NAME=VALUE"}
    elif several:
        told |= {"nargs": "+", "metavar": spec.name.upper()}
        if "choices" in told and not spec.metadata.get("hidden"):
            told["help"] = f"{', '.join(told['choices'])}: {told['help']}"
    return told


def _type(hint: Any) -> type:
    """What the parser converts to. It takes text as YAML, where ``#x`` is no path."""
    kind = without_none(hint)
    return kind if kind in (int, float) else str


def _default_text(name: str, default: Any) -> str:
    """The default, and each data set's own, for the help."""
    own = [f"{key}: {values[name]}" for key, values in DATASET_DEFAULTS.items() if name in values]
    if default not in (None, ()):
        own.insert(0, " ".join(default) if isinstance(default, tuple) else str(default))
    return f" (default: {'; '.join(own)})" if own else ""
