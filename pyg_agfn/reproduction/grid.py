"""Which runs a table or a figure of the paper is made of."""

import dataclasses
import functools
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from pyg_agfn import training
from pyg_agfn.choices import BEST, Method, run_label
from pyg_agfn.training.options import PLACES, RECIPES, TrainOptions

#: What a table compares: every method, and AGFN by its other recipe.
ROWS: tuple[str, ...] = (*get_args(Method), BEST)
WITH_AND_WITHOUT = ("baseline", "agfn")


@dataclass(frozen=True)
class Target:
    """A table or a figure.

    Attributes:
        title: What it shows.
        varied: The options that differ between its runs, and their values in turn; ``None``
            stands for the value that the user chose.
        rows: What it compares, of :data:`ROWS`.
        variants: Or, by its name, what differs in each of its runs.
        dataset: Its data set where the user names none.
        any_of: The options of ``varied`` that may be had at other values too.
    """

    title: str
    varied: dict[str, tuple[Any, ...]]
    rows: tuple[str, ...] = ROWS
    variants: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)
    dataset: str = "ferplus"
    any_of: frozenset[str] = frozenset()

    def shows(self, found: dict[str, Any]) -> bool:
        """Whether a run belongs to it, by what it varies."""
        if "noise" in self.any_of and not found.get("noise"):
            return False
        own = set(self.varied) - self.any_of
        return all(found.get(name) in self.varied[name] for name in own)

    @property
    def sets(self) -> set[str]:
        """The options that it sets itself; a recipe's own are set by its rows."""
        changed = {name for variant in self.variants.values() for name in variant}
        return {*self.varied, *changed.difference(RECIPES["best"])}


#: The recipe, it without each of its parts, and other settings of them.
ABLATION: dict[str, dict[str, Any]] = {
    "all parts": {},
    "α, β held": {"lr_graph": 0.0},
    "α, β from 1 and 0": {"alpha": 1.0, "beta": 0.0},
    "no teacher": {"teacher": 0.0},
    "the teacher judges too": {"judges": "both"},
    "only the teacher judges": {"judges": "teacher"},
    "no memory": {"judges": "teacher", "memory": 0},
    "any number of labels corrected": {"correct_at_most": 1.0},
    "labels as given": {"judges": "nobody"},
    "graph head only": {"heads": "graph"},
    "both heads": {"heads": "both"},
    "memory of 512": {"memory": 512},
    "batches of 32": {"batch_size": 32},
    "graph head only, S = 4": {"heads": "graph", "samples": 4},
    "squared error (Eq. 7)": {"loss": "squared-error"},
    # Few: of a bank that holds all images none is chosen.
    "bank of the 256 images that the graph trusts most": {
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
        "each method by its best learning rate", {"lr": (0.02, 0.05, 0.1)}, any_of=frozenset({"lr"})
    ),
    "ablation": Target("the recipe's parts", {}, (BEST,), ABLATION, dataset="digits"),
}


def target_name(table: int | None, figure: int | None, sweep: bool) -> str:
    """The key of :data:`TARGETS` of a table, a figure or the sweep; of none, the ablation's."""
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
    """The runs of a table or figure, each of one row; all of the first seed come first.

    Of what the table varies, ``chosen_values`` take the place of the table's where they are given.

    What the base sets of the recipe's own options holds for :data:`BEST` alone; an ``alpha``,
    ``beta`` or ``lr_graph`` for both recipes.
    """
    wanted = TARGETS[target]
    chosen = [row for row in wanted.rows if row in rows]
    settings: list[dict[str, Any]] = [{}]
    varied = {**wanted.varied, **(chosen_values or {})}
    for name, values in varied.items():
        settings = [{**setting, name: value} for setting in settings for value in values]
    if target == "figure-3":  # its bars are Table 5
        settings += [{"noise": 0.0, "backbone": name} for name in _BACKBONES["backbone"][1:]]
    if wanted.variants:
        settings = list(wanted.variants.values())
    return [
        dataclasses.replace(base, **{**_of_row(row, base), **setting}, seed=seed, noise_file=None)
        for seed in seeds
        for setting in settings
        for row in chosen
    ]


def _of_row(row: str, base: TrainOptions) -> dict[str, Any]:
    """Method and recipe of a row."""
    if row == BEST:
        return {"method": ("agfn",), "recipe": "best", **own_settings(base)}
    shared = ("alpha", "beta", "lr_graph")
    parts = {name: _DEFAULTS[name] for name in RECIPES["best"] if name not in shared}
    return {"method": (row,), "recipe": "paper", **parts}


def own_settings(base: TrainOptions) -> dict[str, Any]:
    """What the best recipe sets itself: its own options that the base has at their defaults."""
    return {k: v for k, v in RECIPES["best"].items() if getattr(base, k) == _DEFAULTS[k]}


_DEFAULTS = {field.name: field.default for field in dataclasses.fields(TrainOptions)}


def row_of(settings: dict[str, Any]) -> str:
    """The row of a run, by its settings as JSON has them."""
    return run_label(settings["method"][0], settings.get("recipe"))


#: Options of a try-out, which ``--quick`` sets itself; and its images.
QUICK = {"epochs": 2, "pretrain_epochs": 1, "bank_size": 256, "eval_draws": 2}
QUICK_IMAGES = 512
#: What is said of it in tables and pictures.
QUICK_MARK = "try-out (--quick)"


def quick(base: TrainOptions) -> TrainOptions:
    """A try-out of a minute or so: 512 images, two epochs. Its figures mean nothing."""
    every = len(training.load_datasets(dataclasses.replace(base, train_size=None))[0])
    size = min(QUICK_IMAGES, every)
    warmup = min(1, base.warmup_epochs)
    return dataclasses.replace(base, train_size=size, warmup_epochs=warmup, **QUICK)  # type: ignore[arg-type]


def is_quick(found: dict[str, Any]) -> bool:
    """Whether a run is a try-out, by its settings as JSON has them."""
    size = found.get("train_size")
    return (
        isinstance(size, int)
        and size <= QUICK_IMAGES
        and all(found.get(name) == value for name, value in QUICK.items())
    )


def settings(options: TrainOptions) -> dict[str, Any]:
    """What a run is: its options as JSON has them, but for places."""
    every = json.loads(json.dumps(dataclasses.asdict(options), default=str))
    return {name: value for name, value in every.items() if name not in PLACES}


def same_settings(recorded: dict[str, Any], options: TrainOptions) -> bool:
    """Whether a recorded run is this one. What it does not name did not exist yet."""
    return all(recorded.get(name, value) == value for name, value in settings(options).items())


def chosen_settings(chosen: dict[str, Any], dataset: str) -> dict[str, Any]:
    """The settings that are not the data set's defaults."""
    defaults = default_settings(dataset)
    return {name: value for name, value in chosen.items() if value != defaults.get(name)}


def known_settings(recorded: dict[str, Any], dataset: str) -> dict[str, Any]:
    """A record's settings; an option that did not exist yet was as it is now by default."""
    return {**default_settings(dataset), **recorded}


@functools.cache
def default_settings(dataset: str) -> dict[str, Any]:
    """The data set's defaults, as JSON has them."""
    needs_root = None if dataset == "digits" else Path()
    return settings(TrainOptions.for_dataset(dataset, root=needs_root))  # type: ignore[arg-type]


def cell_name(options: TrainOptions) -> str:
    """The name of a run: readable, and another one for other settings.

    What is at its default does not enter the name: a new option must not orphan finished runs.
    """
    chosen = chosen_settings(settings(options), options.dataset)
    digest = hashlib.sha256(json.dumps(chosen, sort_keys=True).encode()).hexdigest()
    label = run_label(options.method[0], options.recipe)
    return (
        f"{options.dataset}-{label}-{options.backbone}-noise{options.noise:g}"
        f"-batch{options.batch_size}-seed{options.seed}-{digest[:8]}"
    )
