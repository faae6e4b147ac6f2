"""What a training run can be told. The command line and the saved configuration are made of it."""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_type_hints

from pyg_agfn import plugins
from pyg_agfn.choices import (
    GRAPH_METHODS,
    MAX_SIZE,
    SIDES,
    Choice,
    Heads,
    Judges,
    LabelMode,
    Method,
    Notation,
    Resize,
)
from pyg_agfn.cli import flag_of
from pyg_agfn.errors import InputError, as_path
from pyg_agfn.registry import BACKBONES
from pyg_agfn.runs.json_files import write_json
from pyg_agfn.training.defaults import DATASET_DEFAULTS, RECIPES
from pyg_agfn.training.option_uses import refuse_without_effect
from pyg_agfn.training.option_values import converted, describe_type, fits, shown

__all__ = ["DATASET_DEFAULTS", "PLACES", "RECIPES", "TrainOptions", "merge_options"]

DatasetName = Literal["digits", "mnist", "ferplus", "rafdb", "folder"]
LossName = Literal["cross-entropy", "squared-error"]
Descent = Literal["alternate", "joint"]
RecipeName = Literal["paper", "best"]


def option(default: Any, help: str, group: str, **metadata: Any) -> Any:
    """A field with its help text, and its group on the command line."""
    return field(default=default, metadata={"help": help, "group": group, **metadata})


@dataclass(frozen=True)
class TrainOptions:
    """Options of a training run.

    Where a data set has a default of its own (:data:`DATASET_DEFAULTS`) it stands in for the one
    below; see :meth:`for_dataset`, which also refuses what would have no effect. Made by the class
    itself or by :func:`dataclasses.replace`, all options count as set, to be taken as they are.

    Paths may be text, methods a text or any iterable of texts, numbers NumPy's.

    Raises:
        InputError: A value of another type or out of its range; the message names the option.
    """

    dataset: DatasetName = option("digits", "images to learn", group="data")
    root: Path | None = option(None, "folder of the data set; digits needs none", group="data")
    method: tuple[Method, ...] = option(
        ("baseline", "agfn"),
        "one run for each: threshold-gcn is the paper's Baseline-GCN",
        group="method",
    )
    noise: float = option(0.0, "share of training labels made wrong, 0 to below 1", group="data")
    noise_file: Path | None = option(
        None,
        "list of training labels, 'path label' a line",
        group="data",
    )
    noise_labels: Notation = option(
        "auto",
        "how --noise-file writes labels: class names, or numbers from 0 or from 1",
        group="data",
    )
    train_size: int | None = option(
        None,
        "train on this many images, drawn with the seed",
        group="data",
    )
    eval_split: Literal["valid", "test"] = option("test", "images to measure on", group="data")
    label_mode: LabelMode = option(
        "plurality",
        "ferplus labels: the class of most votes, or of more than half of them",
        group="data",
    )
    skip_bad: bool = option(
        False,
        "go on without rows and images that are bad; skipped.csv in the run folder has them",
        group="data",
    )
    backbone: str = option("resnet18", "feature extractor", choices=BACKBONES, group="model")
    image_size: int | None = option(
        None,
        "side of the images in pixels; as stored if not given",
        group="data",
    )
    resize: Resize = option(
        "stretch",
        "how images that are not square become so: stretched; cut to the square in their centre; "
        "or whole, between black bars",
        group="data",
    )
    augment: bool = option(True, "random crop, flip, small rotation and erasing", group="data")
    batch_size: int = option(
        256,
        "images a step, of all processes, and nodes a graph; fewer by default for few images",
        group="optimization",
    )
    epochs: int = option(
        40,
        "passes over the training images, pre-training included; more by default for few images",
        group="optimization",
    )
    pretrain_epochs: int = option(
        10,
        "epochs before the graph joins the samples; by default no more than leave some with it",
        group="method",
    )
    warmup_epochs: int = option(
        0,
        "epochs in which the learning rate of W rises, where its first steps are too large",
        group="optimization",
    )
    samples: int = option(1, "graphs drawn of each mini-batch, S of Eq. 10", group="model")
    alpha: float = option(1.0, "initial alpha of Eq. 4", group="model")
    beta: float = option(0.0, "initial beta of Eq. 4", group="model")
    threshold: float = option(0.5, "threshold-gcn joins samples of a greater cosine", group="model")
    feature_dim: int = option(512, "size of the projected emotional feature vectors", group="model")
    recipe: RecipeName = option(
        "paper",
        "agfn to the letter, or with what was found to help (docs/recipe.md); sets the options "
        "from --teacher to --graph-optimizer, and alpha, beta and lr-graph, where not given",
        group="method",
    )
    teacher: float = option(
        0.0,
        "agfn: decay of the running mean of the weights that judges and answers; 0: none",
        group="method",
    )
    memory: int = option(
        0,
        "agfn: past images among which an image's neighbours are found",
        group="method",
    )
    judges: Judges = option(
        "nobody",
        "agfn: whose opinion corrects the training labels",
        group="method",
    )
    correct_at_most: float | None = option(
        1.0,
        "agfn: share of a batch's labels that may be corrected, the most contradicted ones; "
        "--recipe best: as many as the neighbours find to be wrong",
        group="method",
    )
    heads: Heads = option(
        "graph",
        "agfn: learn the answers over the graph, each image's alone, or both",
        group="method",
    )
    graph_optimizer: Literal["sgd", "adam"] = option(
        "sgd",
        "what updates alpha and beta",
        group="optimization",
    )
    loss: LossName = option(
        "cross-entropy",
        "squared-error is Eq. 7, on probabilities; label-smoothing and gce have their own",
        group="method",
    )
    descent: Descent = option(
        "alternate",
        "update alpha and beta with W held, then W; joint: both from one gradient",
        group="method",
    )
    lr: float = option(
        0.01,
        "learning rate of W, gamma_1 of Eq. 9; falls to 0 as a cosine",
        group="optimization",
    )
    lr_graph: float = option(
        0.001,
        "learning rate of alpha and beta, gamma_2 of Eq. 11",
        group="optimization",
    )
    momentum: float = option(0.9, "momentum of W", group="optimization")
    weight_decay: float = option(5e-4, "weight decay of W", group="optimization")
    eval_draws: int = option(
        10,
        "shuffles of the test images that accuracy is measured over",
        group="evaluation",
    )
    bank_size: int = option(
        4096,
        "training images in the reference bank; all if there are fewer",
        group="evaluation",
    )
    bank_choice: Choice = option(
        "random",
        "which training images are in the bank",
        group="evaluation",
    )
    bank_scale: bool = option(
        True,
        "scale the bank's edges to a training batch's degree",
        group="evaluation",
    )
    graph_span: Literal["global", "local"] = option(
        "global",
        "several processes: one graph of the whole batch, or one of each process's part",
        group="run",
    )
    workers: int = option(
        2,
        "threads that read batches ahead, where the images do not fit onto the device; 0: none",
        group="data",
    )
    seed: int = option(0, "of weights, data order, augmentation, noise and graphs", group="run")
    device: str = option("auto", "auto, cpu, cuda, cuda:1, mps", group="run")
    precision: Literal["fp32", "bf16", "fp16"] = option(
        "fp32",
        "bf16: mixed precision; fp16: the same for GPUs that are slow with bf16",
        group="optimization",
    )
    checkpoint_seconds: float = option(
        30.0,
        "at most this much work is lost when a run is killed; 0: none, a checkpoint a step",
        group="run",
    )
    profile: bool = option(
        False,
        "write a profile of some steps to profile.json and profile.txt",
        group="run",
    )
    out: Path = option(Path("runs"), "each run makes a folder of its own in here", group="run")
    cache: Path | None = option(
        None,
        "folder for decoded images (default: ~/.cache/pyg_agfn)",
        group="data",
    )
    plugin: tuple[str, ...] = option((), plugins.HELP, group="run")

    def __post_init__(self) -> None:
        hints = get_type_hints(type(self))

        def check(good: bool, name: str, rule: str) -> None:
            if not good:
                value = shown(getattr(self, name), hints[name])
                raise InputError(f"{flag_of(name)} must be {rule}, got {value}")

        for name, hint in hints.items():
            object.__setattr__(self, name, converted(getattr(self, name), hint))
            check(fits(getattr(self, name), hint), name, describe_type(hint))
        check(self.backbone in BACKBONES, "backbone", f"one of {', '.join(BACKBONES)}")
        check(0 <= self.noise < 1, "noise", "at least 0 and below 1")
        check(-1 <= self.threshold <= 1, "threshold", "a cosine, -1 to 1")
        check(0 <= self.teacher < 1, "teacher", "at least 0 and below 1")
        check(0 <= self.memory <= MAX_SIZE, "memory", f"0 to {MAX_SIZE}")
        if self.judges in ("neighbours", "both") and not self.memory:
            raise InputError(
                f"--judges {self.judges} needs --memory, where neighbours are found; --judges "
                "teacher or nobody needs none"
            )
        at_most = self.correct_at_most
        check(at_most is None or 0 <= at_most <= 1, "correct_at_most", "a share, 0 to 1")
        check(0 <= self.momentum < 1, "momentum", "at least 0 and below 1")
        for name in ("epochs", "samples", "feature_dim", "eval_draws", "bank_size"):
            check(getattr(self, name) >= 1, name, "at least 1")
        for name in ("samples", "feature_dim", "bank_size", "batch_size", "eval_draws"):
            check(getattr(self, name) <= MAX_SIZE, name, f"at most {MAX_SIZE}")
        for name in ("pretrain_epochs", "warmup_epochs", "lr", "lr_graph", "weight_decay", "seed"):
            check(getattr(self, name) >= 0, name, "at least 0")
        for name in ("workers", "checkpoint_seconds"):
            check(getattr(self, name) >= 0, name, "at least 0")
        check(bool(self.method), "method", "at least one method")
        check(
            self.batch_size >= 2,
            "batch_size",
            "at least 2 (batch normalization cannot train on one image)",
        )
        check(
            self.image_size is None or SIDES[0] <= self.image_size <= SIDES[1],
            "image_size",
            f"{SIDES[0]} to {SIDES[1]} pixels",
        )
        if self.resize != "stretch" and self.image_size is None:
            raise InputError(f"--resize {self.resize} needs --image-size, the side in pixels")
        check(self.train_size is None or self.train_size >= 2, "train_size", "at least 2 images")
        check(self.warmup_epochs < self.epochs, "warmup_epochs", f"below --epochs {self.epochs}")
        if self.pretrain_epochs >= self.epochs and set(self.method) & set(GRAPH_METHODS):
            raise InputError(
                f"--pretrain-epochs {self.pretrain_epochs} leaves none of --epochs {self.epochs} "
                "for the graph: give fewer, or more --epochs"
            )
        if self.dataset != "ferplus":
            check(self.eval_split == "test", "eval_split", "test (only ferplus has a valid split)")
            check(self.label_mode == "plurality", "label_mode", "left out (only ferplus has votes)")
        if self.dataset != "digits" and self.root is None:
            raise InputError(f"--dataset {self.dataset} needs --root, the folder of its files")
        if self.noise and self.noise_file:
            raise InputError("--noise and --noise-file both say which labels are wrong: give one")

    @classmethod
    def for_dataset(cls, dataset: DatasetName = "digits", **given: Any) -> "TrainOptions":
        """The options of a data set: its own defaults, the recipe's, over them what is given.

        Defaults that have to look at the number of images do so when a run begins
        (:func:`pyg_agfn.training.fit_to_images`).

        Raises:
            InputError: As the class, and for an option that is given and would have no effect; the
                message says why.
        """
        return merge_options({"dataset": dataset, **given})

    @property
    def defaulted(self) -> frozenset[str]:
        """The options that are defaults, as neither the user nor ``--config`` has set them."""
        names: frozenset[str] = self.__dict__.get("_defaulted", frozenset())
        return names

    def save(self, path: Path) -> None:
        """Writes every option as JSON, to be read with ``--config``."""
        write_json(
            as_path(path, "path"), json.loads(json.dumps(dataclasses.asdict(self), default=str))
        )


#: Options that say where something is, who reads it and what is kept; not what a run is.
PLACES = ("root", "out", "cache", "device", "workers", "checkpoint_seconds", "plugin")


def merge_options(
    given: Mapping[str, Any], saved: Mapping[str, Any] | None = None, refuse: bool = True
) -> TrainOptions:
    """What the user gives, over a saved configuration, the recipe, the data set and the defaults.

    A lower one gives way where it contradicts a higher one: wrong labels are made or read from a
    list, whichever is said higher up; a recipe that is given takes the place of the saved one with
    all that it sets; what only the saved data set has is not taken over to another one.

    Args:
        given: What the user says, by the names of :class:`TrainOptions`. None stands for nothing
            where it is the default.
        saved: A configuration, of some or all options.
        refuse: Whether to refuse what has no effect; whoever makes several runs of the options
            looks at them instead (:func:`~pyg_agfn.training.option_uses.refuse_without_effect`).

    Raises:
        InputError: As :meth:`TrainOptions.for_dataset`.
    """
    specs = {spec.name: spec for spec in dataclasses.fields(TrainOptions)}
    given = {
        name: value
        for name, value in given.items()
        if value is not None or name not in specs or specs[name].default is not None
    }
    saved = _without_replaced(saved or {}, given)
    chosen = {"dataset": TrainOptions.dataset, **saved, **given}
    dataset, recipe = chosen["dataset"], chosen.get("recipe")
    defaults = [
        DATASET_DEFAULTS.get(dataset, {}) if isinstance(dataset, str) else {},
        RECIPES.get(recipe, {}) if isinstance(recipe, str) else {},
    ]
    merged: dict[str, Any] = {}
    for layer in (*defaults, saved, given):
        if layer.get("noise_file") is not None:
            merged["noise"] = 0.0
        elif "noise" in layer:
            merged.pop("noise_file", None)
        merged.update(layer)
    set_names = saved.keys() | given.keys()
    if "pretrain_epochs" not in set_names:
        merged.update(_shorter_pretraining(merged, defaults[0]))
    options = TrainOptions(**merged)
    object.__setattr__(options, "_defaulted", frozenset(specs.keys() - set_names))
    if refuse:
        refuse_without_effect([options], given)
    return options


def _without_replaced(saved: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The saved options but for those of another recipe or data set than is given now."""

    def another(name: str) -> bool:
        return name in saved and given.get(name, saved[name]) != saved[name]

    replaced: set[str] = set()
    if another("recipe"):
        replaced |= {name for recipe in RECIPES.values() for name in recipe}
    if another("dataset"):
        replaced |= {"root", "eval_split", "label_mode"}
    return {name: value for name, value in saved.items() if name not in replaced}


def _shorter_pretraining(merged: dict[str, Any], of_dataset: dict[str, Any]) -> dict[str, int]:
    """The default share of the epochs, where the default number leaves none for the graph."""
    usual = {"epochs": TrainOptions.epochs, "pretrain_epochs": TrainOptions.pretrain_epochs}
    usual.update({name: of_dataset[name] for name in usual if name in of_dataset})
    epochs = converted(merged.get("epochs", usual["epochs"]), int)
    if not fits(epochs, int) or not 0 < epochs <= usual["pretrain_epochs"]:
        return {}
    return {"pretrain_epochs": epochs * usual["pretrain_epochs"] // usual["epochs"]}
