"""The runs that make a table or a figure of the paper."""

import dataclasses
import functools
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from pyg_agfn.registry import DATASETS, METHODS
from pyg_agfn.training import TrainOptions
from pyg_agfn.training.options import PLACES
from pyg_agfn.training.renamed_options import PAPER_SETTINGS, translate

WITH_AND_WITHOUT = ("baseline", "agfn")
#: The method whose parts the ablation leaves out one by one.
NLC = "agfn-nlc"
#: What a table compares where the user names no methods, beside those of plugins: the rows of the
#: documents. Every other method is had by its name.
COMPARED = (
    "baseline",
    "label-smoothing",
    "gce",
    "center-loss",
    "scn",
    "eac",
    "threshold-gcn",
    "agfn",
    NLC,
)


@dataclass(frozen=True)
class Target:
    """A table or a figure.

    Attributes:
        title: What it shows.
        varied: The options that differ between its runs, and their values in turn; ``None``
            stands for the value that the user chose.
        methods: What it can compare; any method if empty.
        variants: Or, by its name, what differs in each of its runs.
        dataset: Its data set where the user names none.
        any_of: The options of ``varied`` that may be had at other values too.
    """

    title: str
    varied: dict[str, tuple[Any, ...]]
    methods: tuple[str, ...] = ()
    variants: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)
    dataset: str = "ferplus"
    any_of: frozenset[str] = frozenset()

    def shows(self, found: dict[str, Any]) -> bool:
        """Whether a run belongs to it, by the options that it varies."""
        if "noise" in self.any_of and not found.get("noise"):
            return False
        own = set(self.varied) - self.any_of
        return all(found.get(name) in self.varied[name] for name in own)

    @property
    def rows(self) -> tuple[str, ...]:
        """The methods that it can compare."""
        return self.methods or tuple(METHODS)

    @property
    def sets(self) -> set[str]:
        """The options that it sets itself."""
        changed = {name for variant in self.variants.values() for name in variant}
        return {*self.varied, *changed}


#: ``agfn-nlc``, it without each of its parts, and other settings of them.
ABLATION: dict[str, dict[str, Any]] = {
    "all parts": {},
    "α, β fixed": {"lr_graph": 0.0},
    "α, β from 1 and 0": {"alpha": 1.0, "beta": 0.0},
    "no teacher": {"teacher_decay": 0.0},
    "label source: teacher and neighbours": {"label_source": "both"},
    "label source: teacher": {"label_source": "teacher"},
    "no memory": {"label_source": "teacher", "memory_size": 0},
    "any number of labels corrected": {"max_share": 1.0},
    "labels as given": {"label_source": "given"},
    "classifier with graph": {"classifier_inputs": "graph"},
    "classifier with and without graph": {"classifier_inputs": "both"},
    "memory of 512": {"memory_size": 512},
    "batches of 32": {"batch_size": 32},
    "classifier with graph, S = 4": {"classifier_inputs": "graph", "samples": 4},
    "squared error (Eq. 7)": {"loss": "squared-error"},
    # 256 only: a bank that holds all images leaves no choice of members.
    "bank of the 256 images that agree most with their neighbours": {
        "bank_choice": "agreement",
        "bank_size": 256,
    },
}

_CLEAN = {"noise": (0.0,)}
_BACKBONES = {"noise": (0.0,), "backbone": ("resnet18", "resnet34", "resnet152")}

TARGETS = {
    "table-1": Target("no wrong labels added", _CLEAN),
    "table-2": Target(
        "10% and 20% wrong labels", {"noise": (0.1, 0.2)}, any_of=frozenset({"noise"})
    ),
    "table-3": Target("occluded faces", _CLEAN),
    "table-4": Target("turned faces", _CLEAN),
    "table-5": Target("deeper backbones, with and without AGFN", _BACKBONES, WITH_AND_WITHOUT),
    "figure-1": Target("features, 20% wrong labels", {"noise": (0.2,)}, WITH_AND_WITHOUT),
    "figure-3": Target(
        "batch sizes and backbones",
        {"noise": (0.0,), "batch_size": (4, 8, 16, 32, 64, 128, 256, 512)},
        WITH_AND_WITHOUT,
    ),
    "figure-4": Target("MNIST, 10% wrong labels", {"noise": (0.1,)}, dataset="mnist"),
    "figure-5": Target("ambiguous images", _CLEAN, WITH_AND_WITHOUT),
    "sweep": Target(
        "each method at its best learning rate", {"lr": (0.02, 0.05, 0.1)}, any_of=frozenset({"lr"})
    ),
    "ablation": Target(f"the parts of {NLC}", {}, (NLC,), ABLATION, dataset="digits"),
}


def target_name(table: int | None, figure: int | None, sweep: bool) -> str:
    """The key in :data:`TARGETS` of a table, a figure or the sweep; without any, the ablation's."""
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
    chosen_values: dict[str, Sequence[float]] | None = None,
) -> list[TrainOptions]:
    """The runs of a table or figure, each of one row; those of the first seed come first.

    Of what the table varies, ``chosen_values`` take the place of the table's where they are given.
    """
    wanted = TARGETS[target]
    chosen = [row for row in wanted.rows if row in rows]
    settings: list[dict[str, Any]] = [{}]
    varied = {**wanted.varied, **(chosen_values or {})}
    for name, values in varied.items():
        settings = [{**setting, name: value} for setting in settings for value in values]
    if target == "figure-3":  # its right side shows Table 5
        settings += [{"noise": 0.0, "backbone": name} for name in _BACKBONES["backbone"][1:]]
    if wanted.variants:
        settings = list(wanted.variants.values())
    return [
        _of_method(base, row, {**setting, "seed": seed, "noise_file": None})
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


def settings(options: TrainOptions) -> dict[str, Any]:
    """The options that define a run, as JSON has them: all but places, device and workers."""
    every = json.loads(json.dumps(dataclasses.asdict(options), default=str))
    return {name: value for name, value in every.items() if name not in PLACES}


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
    return {**default_settings(dataset, method), **parts, **own}


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
    digest = hashlib.sha256(json.dumps(chosen, sort_keys=True).encode()).hexdigest()
    return (
        f"{options.dataset}-{method}-{options.backbone}-noise{options.noise:g}"
        f"-batch{options.batch_size}-seed{options.seed}-{digest[:8]}"
    )
