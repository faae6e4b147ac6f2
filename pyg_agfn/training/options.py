"""What a training run can be told. The command line and the saved configuration are made of it."""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_type_hints

from pyg_agfn import plugins
from pyg_agfn.backbone_args import format_args, is_own_class
from pyg_agfn.choices import (
    CUSTOM,
    Choice,
    ClassifierInputs,
    Compile,
    Descent,
    GraphGradient,
    InputOrder,
    Interpolation,
    LabelMode,
    LabelSource,
    NoiseKind,
    Notation,
    Propagation,
    Resize,
    Targets,
)
from pyg_agfn.errors import as_path
from pyg_agfn.registry import DATASETS, METHODS
from pyg_agfn.runs.json_files import write_json
from pyg_agfn.training.backbone_names import BackboneNames
from pyg_agfn.training.defaults import DATASET_DEFAULTS, method_defaults
from pyg_agfn.training.optimization_options import OptimizationOptions
from pyg_agfn.training.option_checks import check_options
from pyg_agfn.training.option_field import option
from pyg_agfn.training.option_values import converted

__all__ = ["CUSTOM", "DATASET_DEFAULTS", "PLACES", "TrainOptions"]

LossName = Literal["cross-entropy", "squared-error"]


@dataclass(frozen=True)
class TrainOptions(OptimizationOptions):
    """Options of a training run.

    Where a data set or a method has a default of its own (:data:`DATASET_DEFAULTS`,
    :attr:`pyg_agfn.methods.Method.defaults`) it stands in for the one below; see
    :meth:`for_dataset` and :meth:`for_method`. Made by the class itself or by
    :func:`dataclasses.replace`, all options count as set, to be taken as they are.

    Paths may be text, methods a text or any iterable of texts, numbers NumPy's, ``backbone_arg`` a
    dictionary.

    Raises:
        InputError: A value of another type or out of its range; the message names the option.
    """

    dataset: str = option("digits", "images to learn", "data", choices=lambda: tuple(DATASETS))
    root: Path | None = option(None, "folder of the data set; digits needs none", "data")
    noise: float = option(0.0, "share of training labels made wrong, 0 to below 1", "data")
    noise_kind: NoiseKind = option(
        "symmetric",
        "what --noise makes of a label: any other class; the next class; or the class that the "
        "image's pixels decide on",
        "data",
    )
    noise_file: Path | None = option(None, "list of training labels, 'path label' a line", "data")
    noise_labels: Notation = option(
        "auto", "how --noise-file writes labels: class names, or numbers from 0 or from 1", "data"
    )
    train_size: int | None = option(None, "train on this many images, drawn with the seed", "data")
    val_fraction: float = option(
        0.0,
        "share of the training images of each class that is set aside, drawn with the seed, and "
        "measured after each epoch as val_accuracy",
        "data",
    )
    eval_split: str = option("test", "images to measure on: test; ferplus also has valid", "data")
    label_mode: LabelMode = option(
        "plurality",
        "ferplus labels: the class of most votes; of more than half of them; or, as in the "
        "literature, of more than half of those that are left without single votes",
        "data",
    )
    targets: Targets = option(
        "labels",
        "ferplus: what is learned of an image, its label or the distribution of its raters' votes; "
        "not with labels that are made wrong",
        "data",
    )
    skip_bad: bool = option(
        False,
        "continue without rows and images that are bad; skipped.csv in the run folder lists them",
        "data",
    )
    image_size: int | None = option(
        None, "side of the images in pixels; as stored if not given", "data"
    )
    resize: Resize = option(
        "stretch",
        "how images that are not square become so: stretched; cut to the square in their centre; "
        "or whole, between black bars",
        "data",
    )
    interpolation: Interpolation = option(
        "bicubic",
        "how images are resized; as the weights say if not given",
        "data",
    )
    augment: bool = option(True, "random crop, flip, small rotation and erasing", "data")
    workers: int = option(
        2,
        "threads that read batches ahead, where the images do not fit onto the device; 0: none",
        "data",
    )
    cache: Path | None = option(
        None, "folder for decoded images (default: ~/.cache/pyg_agfn)", "data"
    )
    backbone: str = option(
        "resnet18",
        "feature extractor; or timm/NAME, torchvision/NAME, or your own class as module:Class; "
        "resnet18-small by default for images of at most 64 pixels on a GPU",
        "model",
        choices=BackboneNames,
    )
    backbone_arg: tuple[str, ...] = option(
        (),
        "an argument of the backbone's constructor, as NAME=VALUE; may be given several times",
        "model",
        append=True,
    )
    weights: Path | None = option(
        None,
        "weights that the backbone begins with: 'default' for timm's or torchvision's own, or a "
        "file, .safetensors, .pth, .pt or .ckpt",
        "model",
    )
    input_mean: tuple[float, ...] | None = option(
        None,
        "what is taken off the pixels in front of the backbone, one number or one a channel; as "
        "the weights say if not given",
        "model",
    )
    input_std: tuple[float, ...] | None = option(
        None, "what they are then divided by, one number or one a channel", "model"
    )
    input_range: int | None = option(
        None, "what is white in front of the backbone before that, 1 or 255", "model"
    )
    input_order: InputOrder | None = option(None, "order of the colours there", "model")
    input_channels: int | None = option(
        None, "3: grey images become three channels; the weights' channels if not given", "model"
    )
    feature_dim: int = option(512, "size of the projected emotional feature vectors", "model")
    alpha: float = option(1.0, "initial alpha of Eq. 4; of agfn-nlc 8", "model")
    beta: float = option(0.0, "initial beta of Eq. 4; of agfn-nlc -4", "model")
    samples: int = option(1, "graphs drawn of each mini-batch, S of Eq. 10", "model")
    threshold: float = option(0.5, "threshold-gcn joins samples of a greater cosine", "model")
    propagation: Propagation = option(
        "dense",
        "how a mini-batch's graph is processed: as a matrix; as a PyG Data whose edge_index "
        "GCNConv processes; or in tiles, for thousands of nodes",
        "model",
    )
    graph_gradient: GraphGradient = option(
        "all",
        "--propagation edges: pairs whose gradient alpha and beta get, all or the drawn ones",
        "model",
    )
    method: tuple[str, ...] = option(
        ("baseline", "agfn", "agfn-nlc"),
        "one run for each: agfn is the paper's, agfn-nlc corrects labels by their neighbours "
        "(docs/label_correction.md), threshold-gcn is the paper's Baseline-GCN",
        "method",
        choices=lambda: tuple(METHODS),
    )
    pretrain_epochs: int = option(
        10,
        "epochs before the graph joins the samples; by default no more than leave some with it",
        "method",
    )
    loss: LossName = option(
        "cross-entropy",
        "squared-error is Eq. 7, on probabilities; label-smoothing and gce have their own",
        "method",
    )
    descent: Descent = option(
        "alternate",
        "agfn: W, and alpha and beta, each from a draw of its own; joint: both from one",
        "method",
    )
    teacher_decay: float = option(
        0.99, "agfn-nlc: decay of the running mean of the weights that answers; 0: none", "method"
    )
    memory_size: int = option(
        4096, "agfn-nlc: past images among which an image's neighbours are found", "method"
    )
    label_source: LabelSource = option(
        "neighbors",
        "agfn-nlc: whose label distribution corrects the training labels",
        "method",
        hidden=True,
    )
    max_share: float | None = option(
        None,
        "agfn-nlc: share of a batch's labels that may be corrected, those that disagree most; "
        "estimated if not given",
        "method",
        hidden=True,
    )
    classifier_inputs: ClassifierInputs = option(
        "single",
        "agfn-nlc: learn the answers over the graph, of each image alone, or both",
        "method",
        hidden=True,
    )
    eval_draws: int = option(
        10, "shuffles of the test images that accuracy is measured over", "evaluation"
    )
    bank_size: int = option(
        4096, "training images in the reference bank; all if there are fewer", "evaluation"
    )
    bank_choice: Choice = option(
        "random", "which training images are in the bank", "evaluation", hidden=True
    )
    bank_scale: bool = option(
        True, "scale the bank's edges to a training batch's degree", "evaluation", hidden=True
    )
    seed: int = option(0, "of weights, data order, augmentation, noise and graphs", "run")
    device: str = option("auto", "auto, cpu, cuda, cuda:1, mps", "run")
    compile: Compile = option(
        "auto",
        "torch.compile the backbone for the training steps, which takes about a minute before the "
        "first one; auto does on a GPU",
        "run",
    )
    graph_span: Literal["global", "local"] = option(
        "global",
        "several processes: one graph of the whole batch, or one of each process's part",
        "run",
    )
    checkpoint_seconds: float = option(
        30.0,
        "at most this much work is lost when a run is killed; 0: none, a checkpoint a step",
        "run",
    )
    profile: bool = option(
        False, "write a profile of some steps to profile.json and profile.txt", "run"
    )
    out: Path = option(Path("runs"), "each run makes a folder of its own in here", "run")
    plugin: tuple[str, ...] = option((), plugins.HELP, "run")

    def __post_init__(self) -> None:
        if isinstance(self.backbone_arg, Mapping):
            object.__setattr__(self, "backbone_arg", format_args(self.backbone_arg))
        for name, hint in get_type_hints(type(self)).items():
            object.__setattr__(self, name, converted(getattr(self, name), hint))
        check_options(self)

    @classmethod
    def for_dataset(cls, dataset: str = "digits", **given: Any) -> "TrainOptions":
        """The options of a data set: its own defaults, and over them what is given.

        Defaults that have to look at the number of images do so when a run begins
        (:func:`pyg_agfn.training.fit_to_images`).

        Raises:
            InputError: As the class, and for an option that is given and would have no effect; the
                message says why.
        """
        from pyg_agfn.training.merge_options import merge_options  # which makes these options

        return merge_options({"dataset": dataset, **given})

    def for_method(self, name: str) -> "TrainOptions":
        """The options of one method's run: its own defaults in the place of those not given."""
        own = {k: v for k, v in method_defaults(name).items() if k in self.defaulted}
        return self.changed(method=(name,), **own)

    def given(self, **values: Any) -> "TrainOptions":
        """The same with values that count as set by the user."""
        options = self.changed(**values)
        object.__setattr__(options, "_defaulted", self.defaulted - values.keys())
        return options

    def changed(self, **changes: Any) -> "TrainOptions":
        """The same with other values, which are still :attr:`defaulted` where they were."""
        options = dataclasses.replace(self, **changes)
        object.__setattr__(options, "_defaulted", self.defaulted)
        return options

    @property
    def defaulted(self) -> frozenset[str]:
        """The options that are defaults, as neither the user nor ``--config`` has set them."""
        names: frozenset[str] = self.__dict__.get("_defaulted", frozenset())
        return names

    def save(self, path: Path) -> None:
        """Writes every option as JSON, to be read with ``--config``."""
        saved = dataclasses.asdict(self.as_saved())
        write_json(as_path(path, "path"), json.loads(json.dumps(saved, default=str)))

    def as_saved(self) -> "TrainOptions":
        """The options as a file has them: it never names a module that would be imported."""
        return self.changed(backbone=CUSTOM) if is_own_class(self.backbone) else self


#: Options that say where something is, who reads it and what is kept; not what a run is.
PLACES = ("root", "out", "cache", "device", "workers", "checkpoint_seconds", "plugin")
