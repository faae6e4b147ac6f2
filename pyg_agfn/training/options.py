"""What a training run can be told. The command line and the saved configuration are made of it."""

import argparse
import dataclasses
import json
import os
import types
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from pyg_agfn.cli import OneLineParser, flag_of
from pyg_agfn.datasets.ferplus import LabelMode
from pyg_agfn.datasets.image_pixels import Resize
from pyg_agfn.datasets.label_notation import Notation
from pyg_agfn.errors import InputError
from pyg_agfn.nn import BACKBONES
from pyg_agfn.nn.choose_references import Choice
from pyg_agfn.run_files import read_json, write_json
from pyg_agfn.run_folder import GRAPH_METHODS, MAX_SIZE, SIDES, Method
from pyg_agfn.training.label_correction import Heads, Judges

DatasetName = Literal["digits", "mnist", "ferplus", "rafdb", "folder"]
LossName = Literal["cross-entropy", "squared-error"]
Descent = Literal["alternate", "joint"]
RecipeName = Literal["paper", "best"]


def option(default: Any, help: str, **metadata: Any) -> Any:
    """A field with its help text for the command line."""
    return field(default=default, metadata={"help": help, **metadata})


@dataclass(frozen=True)
class TrainOptions:
    """Options of a training run.

    Where a data set has a default of its own (:data:`DATASET_DEFAULTS`) it stands in for the one
    below; see :meth:`for_dataset`.

    Raises:
        InputError: A value out of its range; the message names the option.
    """

    dataset: DatasetName = option("digits", "images to learn")
    root: Path | None = option(None, "folder of the data set; digits needs none")
    method: tuple[Method, ...] = option(
        ("baseline", "agfn"),
        "one run for each: threshold-gcn is the paper's Baseline-GCN",
    )
    noise: float = option(0.0, "share of training labels made wrong, 0 to below 1")
    noise_file: Path | None = option(None, "list of training labels, 'path label' a line")
    noise_labels: Notation = option(
        "auto", "how --noise-file writes labels: class names, or numbers from 0 or from 1"
    )
    train_size: int | None = option(None, "train on this many images, drawn with the seed")
    eval_split: Literal["valid", "test"] = option("test", "images to measure on")
    label_mode: LabelMode = option(
        "plurality", "ferplus labels: the class of most votes, or of more than half of them"
    )
    skip_bad: bool = option(
        False, "go on without rows and images that are bad; skipped.csv in the run folder has them"
    )
    backbone: str = option("resnet18", "feature extractor", choices=BACKBONES)
    image_size: int | None = option(None, "side of the images in pixels; as stored if not given")
    resize: Resize = option(
        "stretch",
        "how images that are not square become so: stretched; cut to the square in their centre; "
        "or whole, between black bars",
    )
    augment: bool = option(True, "random crop, flip, small rotation and erasing")
    batch_size: int = option(256, "images a step, of all processes, and nodes a graph")
    epochs: int = option(40, "passes over the training images, pre-training included")
    pretrain_epochs: int = option(10, "epochs before the graph joins the samples")
    warmup_epochs: int = option(
        0, "epochs in which the learning rate of W rises, where its first steps are too large"
    )
    samples: int = option(1, "graphs drawn of each mini-batch, S of Eq. 10")
    alpha: float = option(1.0, "initial alpha of Eq. 4")
    beta: float = option(0.0, "initial beta of Eq. 4")
    threshold: float = option(0.5, "threshold-gcn joins samples of a greater cosine")
    feature_dim: int = option(512, "size of the projected emotional feature vectors")
    recipe: RecipeName = option(
        "paper",
        "agfn to the letter, or with what was found to help (docs/recipe.md); sets the options "
        "from --teacher to --graph-optimizer, and alpha, beta and lr-graph, where not given",
    )
    teacher: float = option(
        0.0, "agfn: decay of the running mean of the weights that judges and answers; 0: none"
    )
    memory: int = option(0, "agfn: past images among which an image's neighbours are found")
    judges: Judges = option("nobody", "agfn: whose opinion corrects the training labels")
    correct_at_most: float | None = option(
        1.0,
        "agfn: share of a batch's labels that may be corrected, the most contradicted ones; "
        "--recipe best: as many as the neighbours find to be wrong",
    )
    heads: Heads = option(
        "graph", "agfn: learn the answers over the graph, each image's alone, or both"
    )
    graph_optimizer: Literal["sgd", "adam"] = option("sgd", "what updates alpha and beta")
    loss: LossName = option(
        "cross-entropy",
        "squared-error is Eq. 7, on probabilities; label-smoothing and gce have their own",
    )
    descent: Descent = option(
        "alternate", "update alpha and beta with W held, then W; joint: both from one gradient"
    )
    lr: float = option(0.01, "learning rate of W, gamma_1 of Eq. 9; falls to 0 as a cosine")
    lr_graph: float = option(0.001, "learning rate of alpha and beta, gamma_2 of Eq. 11")
    momentum: float = option(0.9, "momentum of W")
    weight_decay: float = option(5e-4, "weight decay of W")
    eval_draws: int = option(10, "shuffles of the test images that accuracy is measured over")
    bank_size: int = option(4096, "training images in the reference bank; all if there are fewer")
    bank_choice: Choice = option("random", "which training images are in the bank")
    bank_scale: bool = option(True, "scale the bank's edges to a training batch's degree")
    graph_span: Literal["global", "local"] = option(
        "global", "several processes: one graph of the whole batch, or one of each process's part"
    )
    workers: int = option(
        2, "threads that read batches ahead, where the images do not fit onto the device; 0: none"
    )
    seed: int = option(0, "of weights, data order, augmentation, noise and graphs")
    device: str = option("auto", "auto, cpu, cuda, cuda:1, mps")
    precision: Literal["fp32", "bf16", "fp16"] = option(
        "fp32", "bf16: mixed precision; fp16: the same for GPUs that are slow with bf16"
    )
    checkpoint_seconds: float = option(
        30.0, "at most this much work is lost when a run is killed; 0: none, a checkpoint a step"
    )
    profile: bool = option(False, "write a profile of some steps to profile.json and profile.txt")
    out: Path = option(Path("runs"), "each run makes a folder of its own in here")
    cache: Path | None = option(None, "folder for decoded images (default: ~/.cache/pyg_agfn)")

    def __post_init__(self) -> None:
        def check(good: bool, name: str, rule: str) -> None:
            if not good:
                value = getattr(self, name)
                raise InputError(f"{flag_of(name)} must be {rule}, got {value}")

        for name, hint in get_type_hints(type(self)).items():
            check(_fits(getattr(self, name), hint), name, _describe(hint))
        check(self.backbone in BACKBONES, "backbone", f"one of {', '.join(BACKBONES)}")
        check(0 <= self.noise < 1, "noise", "at least 0 and below 1")
        check(-1 <= self.threshold <= 1, "threshold", "a cosine, -1 to 1")
        check(0 <= self.teacher < 1, "teacher", "at least 0 and below 1")
        check(0 <= self.memory <= MAX_SIZE, "memory", f"0 to {MAX_SIZE}")
        if self.judges in ("neighbours", "both") and not self.memory:
            raise InputError(f"--judges {self.judges} needs --memory, where neighbours are found")
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
                "for the graph: lower it"
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
        """The options of a data set: its own defaults, the recipe's, over them what is given."""
        own = DATASET_DEFAULTS.get(dataset, {}) if isinstance(dataset, str) else {}
        recipe = given.get("recipe")
        own = {**own, **(RECIPES.get(recipe, {}) if isinstance(recipe, str) else {})}
        return cls(dataset=dataset, **{**own, **given})

    def save(self, path: Path) -> None:
        """Writes every option as JSON, to be read with ``--config``."""
        write_json(path, json.loads(json.dumps(dataclasses.asdict(self), default=str)))


#: What the paper names in Section 4.1 (FERPlus, RAF-DB) and 4.6 (MNIST), and what is not the
#: paper's but fits the data: sizes as stored, and a small network for small images.
DATASET_DEFAULTS: dict[str, dict[str, Any]] = {
    "digits": {
        "noise": 0.2,
        "backbone": "small-cnn",
        "augment": False,
        "batch_size": 128,
        "epochs": 40,
        "pretrain_epochs": 2,
        "lr": 0.05,
    },
    "mnist": {
        "noise": 0.1,
        "train_size": 10_000,
        "augment": False,
        "epochs": 20,
        "pretrain_epochs": 2,
        "lr": 0.05,
    },
    "ferplus": {"eval_split": "valid", "image_size": 48},
    "rafdb": {"image_size": 100},
    "folder": {"image_size": 64},
}


#: What a recipe sets, where it is not the default.
RECIPES: dict[str, dict[str, Any]] = {
    "paper": {},
    "best": {
        "alpha": 8.0,
        "beta": -4.0,
        "teacher": 0.99,
        "memory": 4096,
        "judges": "neighbours",
        "correct_at_most": None,
        "heads": "alone",
        "graph_optimizer": "adam",
        "lr_graph": 0.02,
    },
}


#: Options that say where something is, who reads it and what is kept; not what a run is.
PLACES = ("root", "out", "cache", "device", "workers", "checkpoint_seconds")


def parse_options(arguments: Sequence[str] | None = None) -> TrainOptions:
    """Options from the command line; over ``--config``'s, over the data set's, over the defaults.

    Raises:
        InputError: Unknown option or value, or a configuration that cannot be read.
    """
    given = vars(_parser().parse_args(arguments))
    if "resume" in given:
        raise InputError("--resume is an option of train_pyg.py")
    config = given.pop("config", None)
    settings = typed_settings({**(_read_config(config) if config else {}), **given})
    return TrainOptions.for_dataset(settings.pop("dataset", "digits"), **settings)


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
        raise InputError(f"--resume goes on with the run's own options: leave out {names}")
    return folder, typed_settings(given)


def _parser() -> OneLineParser:
    parser = OneLineParser(
        description="Train image classifiers on labels that may be wrong, and compare them.",
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="options as JSON")
    parser.add_argument(
        "--resume", type=Path, metavar="RUN", help="go on with the run of this folder"
    )
    hints = get_type_hints(TrainOptions)
    for spec in dataclasses.fields(TrainOptions):
        flag = flag_of(spec.name)
        help_text = spec.metadata["help"] + _default_text(spec.name, spec.default)
        parser.add_argument(flag, **_argument(hints[spec.name], spec), help=help_text)
    return parser


def typed_settings(settings: dict[str, Any]) -> dict[str, Any]:
    """Options as JSON or argparse has them, in the types of :class:`TrainOptions`."""
    hints = get_type_hints(TrainOptions)
    return {name: _typed(value, hints[name]) for name, value in settings.items()}


def _argument(hint: Any, spec: "dataclasses.Field[Any]") -> dict[str, Any]:
    """What argparse is told of a field."""
    if hint is bool:
        return {"action": argparse.BooleanOptionalAction}
    kind = _without_none(hint)
    if get_origin(kind) is tuple:
        return {"nargs": "+", "choices": get_args(get_args(kind)[0])}
    if get_origin(kind) is Literal:
        return {"choices": get_args(kind)}
    if "choices" in spec.metadata:
        return {"choices": spec.metadata["choices"]}
    return {"type": kind, "metavar": kind.__name__.upper()}


def _default_text(name: str, default: Any) -> str:
    """The default, and each data set's own, for the help."""
    own = [f"{key}: {values[name]}" for key, values in DATASET_DEFAULTS.items() if name in values]
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


def _typed(value: Any, hint: Any) -> Any:
    """Paths and tuples from the text and lists that JSON and argparse have in their place."""
    kind = _without_none(hint)
    if isinstance(value, str) and kind is Path:
        return Path(value)
    if get_origin(kind) is tuple and isinstance(value, str | list):
        return (value,) if isinstance(value, str) else tuple(value)
    return value


def _without_none(hint: Any) -> Any:
    """``T`` of ``T | None``."""
    if get_origin(hint) in (Union, types.UnionType):
        return next(kind for kind in get_args(hint) if kind is not type(None))
    return hint


def _fits(value: Any, hint: Any) -> bool:
    """Whether a value, from Python or from JSON, has its field's type."""
    if get_origin(hint) in (Union, types.UnionType):
        return any(_fits(value, kind) for kind in get_args(hint))
    if get_origin(hint) is Literal:
        return isinstance(value, str) and value in get_args(hint)
    if get_origin(hint) is tuple:
        return isinstance(value, tuple) and all(_fits(v, get_args(hint)[0]) for v in value)
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e38
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << 53
    if hint is Path:
        return isinstance(value, Path) and _is_path(value)
    return isinstance(value, hint)


def _is_path(value: Path) -> bool:
    """Whether the system can be asked for it."""
    try:
        return b"\0" not in os.fsencode(value)
    except UnicodeEncodeError:
        return False


def _describe(hint: Any) -> str:
    kind = _without_none(hint)
    if get_origin(kind) is tuple:
        kind = get_args(kind)[0]
    if get_origin(kind) is Literal:
        return f"one of {', '.join(get_args(kind))}"
    return {int: "a whole number", float: "a number", bool: "true or false", Path: "a path"}.get(
        kind, "text"
    )
