"""The runs that make a table, a figure or a suite, and how a run is told from others."""

import dataclasses
import functools
import hashlib
import json
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, cast

from pyg_agfn.registry import DATASETS, METHODS
from pyg_agfn.reproduction.paper_targets import BACKBONES, PAPER_TARGETS
from pyg_agfn.reproduction.suites import SUITES
from pyg_agfn.reproduction.target import NLC, Target
from pyg_agfn.training import TrainOptions
from pyg_agfn.training.options import PLACES
from pyg_agfn.training.renamed_options import PAPER_SETTINGS, translate

#: Tables, figures and suites by their names.
TARGETS: dict[str, Target] = {**PAPER_TARGETS, **SUITES}


def target_name(
    table: int | None, figure: int | None, sweep: bool, suite: str | None = None
) -> str:
    """The key in :data:`TARGETS` of what is asked for; the ablation's if nothing is."""
    if suite:
        return suite
    if table:
        return f"table-{table}"
    if figure:
        return f"figure-{figure}"
    return "sweep" if sweep else "ablation"


def grid(
    target: str,
    base: TrainOptions,
    rows: Sequence[str],
    seeds: Sequence[int],
    chosen_values: dict[str, Sequence[Any]] | None = None,
    given: Collection[str] = (),
) -> list[TrainOptions]:
    """The runs of a table, figure or suite, each of one row; those of the first seed come first.

    Of what it varies, ``chosen_values`` take the place of its own where they are given. What a
    suite sets for one method gives way to the options that the user has given.
    """
    wanted = TARGETS[target]
    chosen = [row for row in wanted.rows if row in rows]
    settings: list[dict[str, Any]] = [{}]
    varied = {**wanted.varied, **(chosen_values or {})}
    for name, values in varied.items():
        settings = [{**setting, name: value} for setting in settings for value in values]
    if target == "figure-3":  # its right side shows Table 5
        settings += [{"noise": 0.0, "backbone": name} for name in BACKBONES["backbone"][1:]]
    if wanted.variants:
        settings = list(wanted.variants.values())
    return [
        _of_method(
            base,
            row,
            {
                "noise_file": None,
                **{k: v for k, v in wanted.of_method.get(row, {}).items() if k not in given},
                **setting,
                "seed": seed,
            },
        )
        for seed in seeds
        for setting in settings
        for row in chosen
    ]


def _of_method(base: TrainOptions, name: str, changes: dict[str, Any]) -> TrainOptions:
    """The options of one method's run; what ``agfn-nlc`` alone takes is left to it."""
    options = base.for_method(name)
    fields = dataclasses.fields(TrainOptions)
    idle = {field.name: field.default for field in fields if field.name in _idle(name)}
    return dataclasses.replace(options, **{**idle, **changes})


def _idle(method: str) -> frozenset[str]:
    """What ``agfn-nlc`` takes beyond the paper's method, if this method does not take it."""
    return METHODS[NLC].options - METHODS["agfn"].options - METHODS[method].options


def row_of(settings: dict[str, Any]) -> str:
    """The method of a run, by its settings as JSON has them, of this version or an older one."""
    return str(translate(settings)[0]["method"][0])


#: Options of a try-out, which ``--quick`` sets, and its number of images.
QUICK = {"epochs": 2, "pretrain_epochs": 1, "bank_size": 256, "eval_draws": 2}
QUICK_IMAGES = 512
#: How tables and pictures mark it.
QUICK_MARK = "try-out (--quick)"


def quick(base: TrainOptions) -> TrainOptions:
    """A try-out of a minute or so: 512 images, two epochs. Its figures mean nothing."""
    from pyg_agfn.training.data import load_datasets  # imports torch

    every = len(load_datasets(base.changed(train_size=None))[0])
    size = min(QUICK_IMAGES, every)
    return base.changed(train_size=size, warmup_epochs=min(1, base.warmup_epochs), **QUICK)


def is_quick(found: dict[str, Any]) -> bool:
    """Whether a run is a try-out, by its settings as JSON has them."""
    size = found.get("train_size")
    return (
        isinstance(size, int)
        and size <= QUICK_IMAGES
        and all(found.get(name) == value for name, value in QUICK.items())
    )


#: Options that name a file. A run is told from others by the file's name, wherever it is.
FILES = ("noise_file", "weights")


def settings(options: TrainOptions) -> dict[str, Any]:
    """The options that define a run, as JSON has them: all but places, device and workers."""
    every = json.loads(json.dumps(dataclasses.asdict(options), default=str))
    return _named({name: value for name, value in every.items() if name not in PLACES})


def _named(found: dict[str, Any]) -> dict[str, Any]:
    """Settings with the names of files in the place of their paths."""
    files = {name: Path(found[name]).name for name in FILES if found.get(name)}
    return {**found, **files}


def same_settings(recorded: object, options: TrainOptions) -> bool:
    """Whether a recorded run is this one. What is no record of a run is not."""
    try:
        known = known_settings(cast(dict[str, Any], recorded), options.dataset)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):
        return False
    return all(known[name] == value for name, value in settings(options).items())


def known_settings(recorded: dict[str, Any], dataset: str) -> dict[str, Any]:
    """All settings of a record by today's names.

    An option that did not exist yet was as it is now by default; the parts of ``agfn-nlc`` were
    as the paper has them.

    Args:
        recorded: The settings of a record, of this version or an older one.
        dataset: Whose defaults stand for what is not recorded.

    Raises:
        InputError: The method or the data set is unknown.
    """
    found, _ = translate(recorded)
    method = str(found["method"][0])
    parts = PAPER_SETTINGS if method == NLC and _is_former(recorded) else {}
    own = {name: value for name, value in found.items() if name not in _idle(method)}
    return {**default_settings(dataset, method), **parts, **_named(own)}


def _is_former(recorded: dict[str, Any]) -> bool:
    """Whether a record is of a version before 0.2, by the names of its options."""
    return "memory_size" not in recorded


def lacks_parts(recorded: dict[str, Any], dataset: str) -> bool:
    """Whether an older version's run of ``agfn-nlc`` has a part as the paper has it.

    Either the part did not exist yet, or the run is of the ablation. Runs of this version are told
    apart by :func:`chosen_settings`.
    """
    if row_of(recorded) != NLC or not _is_former(recorded):
        return False
    known, defaults = known_settings(recorded, dataset), default_settings(dataset, NLC)
    return any(known[name] == value != defaults[name] for name, value in PAPER_SETTINGS.items())


def chosen_settings(known: dict[str, Any]) -> dict[str, Any]:
    """The settings that are not the defaults of the run's data set and method.

    Runs of several methods that are all at their defaults have these in common: none.
    """
    defaults = default_settings(known["dataset"], known["method"][0])
    return {name: value for name, value in known.items() if value != defaults.get(name)}


@functools.cache
def default_settings(dataset: str, method: str = "") -> dict[str, Any]:
    """The defaults of a data set, and of a method if it is given, as JSON has them."""
    needs_root = DATASETS[dataset].needs_root if dataset in DATASETS else False
    options = TrainOptions.for_dataset(dataset, root=Path() if needs_root else None)
    return settings(options.for_method(method) if method else options)


def cell_name(options: TrainOptions) -> str:
    """The name of a run: readable, and different for different settings.

    Options at their defaults do not enter the name. So a new option leaves the names of finished
    runs as they are.
    """
    (method,) = options.method
    found = settings(options)
    chosen = {**chosen_settings(found), "method": found["method"]}
    noise = "list" if options.noise_file else f"{options.noise:g}"
    digest = hashlib.sha256(json.dumps(chosen, sort_keys=True).encode()).hexdigest()
    return (
        f"{options.dataset}-{method}-{_file_name(options.backbone)}-noise{noise}"
        f"-batch{options.batch_size}-seed{options.seed}-{digest[:8]}"
    )


def _file_name(backbone: str) -> str:
    """A backbone's name without the slash of ``timm/NAME``, as a part of a folder's name."""
    return backbone.replace("/", "-")
