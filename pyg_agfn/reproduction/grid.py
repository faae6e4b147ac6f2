"""Which runs a table or a figure of the paper is made of."""

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from pyg_agfn.run_folder import Method
from pyg_agfn.training import TrainOptions, load_datasets
from pyg_agfn.training.options import PLACES

METHODS: tuple[Method, ...] = get_args(Method)
WITH_AND_WITHOUT: tuple[Method, ...] = ("baseline", "agfn")


@dataclass(frozen=True)
class Target:
    """A table or a figure.

    Attributes:
        title: What it shows.
        varied: The options that differ between its runs, and their values in turn; ``None``
            stands for the value that the user chose.
        methods: The methods it compares.
        dataset: Its data set where the user names none.
    """

    title: str
    varied: dict[str, tuple[Any, ...]]
    methods: tuple[Method, ...] = METHODS
    dataset: str = "ferplus"


_CLEAN = {"noise": (0.0,)}
_BACKBONES = {"noise": (0.0,), "backbone": ("resnet18", "resnet34", "resnet152")}

TARGETS = {
    "table-1": Target("no wrong labels added", _CLEAN),
    "table-2": Target("10% and 20% wrong labels", {"noise": (0.1, 0.2)}),
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
}


def grid(
    target: str, base: TrainOptions, methods: Sequence[Method], seeds: Sequence[int]
) -> list[TrainOptions]:
    """The runs of a table or figure, each with one method; all of the first seed come first."""
    chosen = [method for method in TARGETS[target].methods if method in methods]
    settings: list[dict[str, Any]] = [{}]
    for name, values in TARGETS[target].varied.items():
        settings = [{**setting, name: value} for setting in settings for value in values]
    if target == "figure-3":  # its bars are Table 5
        settings += [{"noise": 0.0, "backbone": name} for name in _BACKBONES["backbone"][1:]]
    return [
        dataclasses.replace(base, **setting, method=(method,), seed=seed, noise_file=None)
        for seed in seeds
        for setting in settings
        for method in chosen
    ]


def quick(base: TrainOptions) -> TrainOptions:
    """A try-out of a minute or so: 512 images, two epochs. Its figures mean nothing."""
    size = min(512, len(load_datasets(dataclasses.replace(base, train_size=None))[0]))
    return dataclasses.replace(
        base, train_size=size, epochs=2, pretrain_epochs=1, bank_size=256, eval_draws=2
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
    needs_root = None if dataset == "digits" else Path()
    defaults = settings(TrainOptions.for_dataset(dataset, root=needs_root))  # type: ignore[arg-type]
    return {name: value for name, value in chosen.items() if value != defaults.get(name)}


def cell_name(options: TrainOptions) -> str:
    """The name of a run: readable, and another one for other settings.

    What is at its default does not enter the name: a new option must not orphan finished runs.
    """
    chosen = chosen_settings(settings(options), options.dataset)
    digest = hashlib.sha256(json.dumps(chosen, sort_keys=True).encode()).hexdigest()
    return (
        f"{options.dataset}-{options.method[0]}-{options.backbone}-noise{options.noise:g}"
        f"-batch{options.batch_size}-seed{options.seed}-{digest[:8]}"
    )
