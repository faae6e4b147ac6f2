"""The run folder: how a trained model is kept and handed on. Weights as safetensors, the rest JSON.

Nothing is unpickled and no module is imported, so a folder from an untrusted source cannot run
code, and it takes no more memory than its files and the limits below say (``SECURITY.md``).

======================  ========================================================================
``model.json``          what the model is (:class:`ModelConfig`): method, backbone, classes, size
``model.safetensors``   its weights
``bank.safetensors``    graph methods: the references' projected features, images and labels
``bank.json``           their names, and the batch size that their edges are scaled to
``answers.safetensors`` the bank protocol's logits of the test images, and their true labels
``metrics.json``        what was measured; written last, so where it is the run was finished
``config.json``         the options of the training run
======================  ========================================================================
"""

import copy
import dataclasses
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import torch
from torch import Tensor, nn

from pyg_agfn.choices import CUSTOM, MAX_PLUGINS
from pyg_agfn.choices import MAX_REFERENCES as MAX_REFERENCES
from pyg_agfn.choices import MAX_SIZE as MAX_SIZE
from pyg_agfn.choices import SIDES as SIDES
from pyg_agfn.choices import run_label as run_label
from pyg_agfn.datasets.image_pixels import WHITE_FLOATS, WHITE_INTEGERS, Resize, White
from pyg_agfn.errors import InputError, as_path, printable
from pyg_agfn.nn import AGFNClassifier, BaselineClassifier, ReferenceBank
from pyg_agfn.nn.own_backbone import find_num_features
from pyg_agfn.registry import BACKBONES, METHODS
from pyg_agfn.runs.files import (
    TensorSpec,
    read_header,
    read_json,
    read_tensors,
    spec_of,
    write_json,
    write_tensors,
)

FORMAT = 1

#: Fields of ``model.json`` that older runs do not have.
LATER = ("resize", "white_integer", "white_float", "own_transforms", "plugin")

#: Most bytes of ``model.json``, which names the classes, and ``bank.json``: the references.
NAMES_LIMIT = 16 << 20


@dataclass(frozen=True)
class ModelConfig:
    """All that has to be known of a model to build it and to feed it.

    Attributes:
        method: What trained it, a name of :data:`pyg_agfn.registry.METHODS`.
        backbone: A name of :data:`pyg_agfn.registry.BACKBONES`, or :data:`CUSTOM`.
        classes: Names of the classes, in the logits' order.
        channels: 1 for grey images, 3 for RGB.
        height, width: Size of the images in pixels.
        feature_dim: Size of the projected feature vectors.
        batch_size: Images a training step, N of the graph.
        samples: Graphs drawn of a mini-batch.
        alpha, beta: Initial parameters of the Poisson graph.
        threshold: Cosine above which ``threshold-gcn`` joins.
        resize: How images of another shape were brought to this size.
        white_integer, white_float: What was white in images of more than 8 bits; null: there were
            none.
        own_transforms: Whether the images were made by transforms of the user's own, so that image
            files cannot be classified.
        plugin: Modules outside the package that registered the method or the backbone. They are
            named to the user, and never imported.
        format: Version of the run folder.

    Raises:
        InputError: A height or width that no model is made for, or more classes, or longer names of
            them, than a run folder keeps.
    """

    method: str
    backbone: str
    classes: tuple[str, ...]
    channels: int
    height: int
    width: int
    feature_dim: int = 512
    batch_size: int = 256
    samples: int = 1
    alpha: float = 1.0
    beta: float = 0.0
    threshold: float = 0.5
    resize: Resize = "stretch"
    white_integer: int | None = None
    white_float: int | None = None
    own_transforms: bool = False
    plugin: tuple[str, ...] = ()
    format: int = FORMAT

    def __post_init__(self) -> None:
        if not SIDES[0] <= min(self.height, self.width) <= max(self.height, self.width) <= SIDES[1]:
            raise InputError(
                f"images of height {self.height} and width {self.width}: a model takes {SIDES[0]} "
                f"to {SIDES[1]} pixels a side; --image-size brings them there"
            )
        # Said before a training: what is written must be what load_run reads.
        if len(self.classes) > MAX_SIZE:
            raise InputError(f"{len(self.classes):,} classes: a model takes at most {MAX_SIZE:,}")
        size = sum(len(json.dumps(name)) for name in self.classes)
        if size > NAMES_LIMIT // 2:
            raise InputError(
                f"the names of the {len(self.classes):,} classes take {size:,} bytes, where "
                f"{NAMES_LIMIT // 2:,} are the most; shorten them"
            )

    @property
    def white(self) -> White:
        """What is white in images of more than 8 bits."""
        return White(self.white_integer, self.white_float)

    def build(self, backbone: nn.Module | None = None) -> BaselineClassifier:
        """The model, with weights drawn from the global generator, the backbone's first.

        Args:
            backbone: The module itself, where it is no registered one.

        Raises:
            InputError: There is none, and it is no registered one.
        """
        if backbone is None and self.backbone == CUSTOM:
            raise InputError(
                "the backbone is a module of the user's own: load the run in Python, by "
                "load_run(folder, backbone=module)"
            )
        return METHODS[self.method].build_model(self, backbone)


@dataclass(frozen=True)
class References:
    """The training images of a bank.

    Attributes:
        bank: What answers.
        images: uint8, (M, C, H, W).
        labels: Their labels as training saw them, (M).
        names: What they are called.
    """

    bank: ReferenceBank
    images: Tensor
    labels: Tensor
    names: list[str]


@dataclass(frozen=True)
class Answers:
    """What a model answers by the bank protocol, in the test images' own order.

    Attributes:
        logits: (n, K).
        labels: True labels, (n).
    """

    logits: Tensor
    labels: Tensor

    @property
    def correct(self) -> Tensor:
        """Boolean (n): where the highest logit is the label's."""
        return self.logits.argmax(1) == self.labels


@dataclass(frozen=True)
class Run:
    """A trained model, read back: in evaluation mode, on the CPU."""

    folder: Path
    card: ModelConfig
    model: BaselineClassifier
    references: References | None


def label_of_folder(folder: Path, config: ModelConfig) -> str:
    """The same of a run folder, which may have lost its ``config.json``.

    Raises:
        InputError: The file is there and cannot be read.
    """
    path = as_path(folder, "run folder") / "config.json"
    recipe = read_json(path).get("recipe") if path.exists() else None
    return run_label(config.method, recipe)


def save_model(
    folder: Path, config: ModelConfig, model: BaselineClassifier, references: References | None
) -> None:
    """Writes a model and its bank into a run folder, each file whole or not at all."""
    write_json(folder / "model.json", dataclasses.asdict(config))
    write_tensors(folder / "model.safetensors", dict(model.state_dict()))
    if references is not None:
        batch_size = references.bank.batch_size
        write_json(folder / "bank.json", {"batch_size": batch_size, "names": references.names})
        tensors = {
            "projected": references.bank.projected,
            "images": references.images,
            "labels": references.labels,
        }
        write_tensors(folder / "bank.safetensors", tensors)


def save_answers(folder: Path, answers: Answers) -> None:
    """Writes ``answers.safetensors``, whole or not at all."""
    tensors = {"logits": answers.logits.float(), "labels": answers.labels}
    write_tensors(folder / "answers.safetensors", tensors)


def load_answers(folder: Path) -> Answers:
    """Reads ``answers.safetensors``.

    Raises:
        InputError: The file is missing or broken.
    """
    path = as_path(folder, "run folder") / "answers.safetensors"
    found = read_header(path)
    logits, labels = (found.get(name, TensorSpec("", ())) for name in ("logits", "labels"))
    if (
        set(found) != {"logits", "labels"}
        or (logits.dtype, labels.dtype) != ("F32", "I64")
        or len(logits.shape) != 2
        or logits.shape[:1] != labels.shape
        or 0 in logits.shape
    ):
        shown = ", ".join(f"{name} {kind}" for name, kind in list(found.items())[:3])
        raise InputError(f"{path}: must hold logits (n, K) and labels (n), got {shown}")
    tensors = read_tensors(path, found)
    return Answers(tensors["logits"], tensors["labels"])


def load_run(folder: Path, backbone: nn.Module | None = None) -> Run:
    """Reads a run folder.

    Args:
        folder: Of a finished run.
        backbone: The module that was trained, where it was no registered one; it gets the weights.

    Raises:
        InputError: A file is missing, broken, of another version, or does not fit the others; the
            message says which and what.
    """
    folder = as_path(folder, "run folder")
    path = folder / "model.json"
    if not os.path.exists(path):
        raise InputError(f"{path}: there is no such file; give the folder of a finished run")
    config = _read_config(path)
    if backbone is not None:
        _name_features(path, config, backbone)
    model = _build_empty(path, config, backbone)
    expected = {name: spec_of(tensor) for name, tensor in model.state_dict().items()}
    weights = read_tensors(folder / "model.safetensors", expected)
    # A module of the user's may have buffers that are not in the file.
    built = model.to_empty(device="cpu") if backbone is None else config.build(backbone)
    model = built.to("cpu")
    model.load_state_dict(weights)
    model.eval()
    if not isinstance(model, AGFNClassifier):
        return Run(folder, config, model, None)
    return Run(folder, config, model, _read_references(folder, config, model))


def _name_features(path: Path, config: ModelConfig, backbone: nn.Module) -> None:
    try:
        shape = (config.channels, config.height, config.width)
        backbone.num_features = find_num_features(backbone, shape)  # type: ignore[assignment]
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def _build_empty(path: Path, config: ModelConfig, backbone: nn.Module | None) -> BaselineClassifier:
    """The model without storage, which takes no memory before the weights are known to fit."""
    try:
        with torch.device("meta"):
            return config.build(None if backbone is None else copy.deepcopy(backbone).to("meta"))
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def _read_references(folder: Path, config: ModelConfig, model: AGFNClassifier) -> References:
    path = folder / "bank.safetensors"
    content = read_json(folder / "bank.json", NAMES_LIMIT)
    names, batch_size = content.get("names"), content.get("batch_size", -1)
    if not isinstance(names, list) or not names or not all(isinstance(n, str) for n in names):
        raise InputError(f"{folder / 'bank.json'}: names must be a list of texts")
    if len(names) > MAX_REFERENCES:
        raise InputError(f"{folder / 'bank.json'}: more than {MAX_REFERENCES:,} references")
    if batch_size is not None and not _is_size(batch_size):
        raise InputError(f"{folder / 'bank.json'}: batch_size must be a number or null")
    size = len(names)
    expected = {
        "projected": TensorSpec("F32", (size, config.feature_dim)),
        "images": TensorSpec("U8", (size, config.channels, config.height, config.width)),
        "labels": TensorSpec("I64", (size,)),
    }
    tensors = read_tensors(path, expected)
    labels = tensors["labels"]
    if not 0 <= int(labels.min()) <= int(labels.max()) < len(config.classes):
        raise InputError(f"{path}: labels must be 0 to {len(config.classes) - 1}")
    bank = ReferenceBank(model.agfn, tensors["projected"], batch_size).eval()
    return References(bank, tensors["images"], labels, names)


def _read_config(path: Path) -> ModelConfig:
    content = read_json(path, NAMES_LIMIT)
    if content.get("format") != FORMAT:
        found = repr(content.get("format"))
        raise InputError(
            f"{path}: is of format {printable(found, 80)}, this version reads {FORMAT}"
        )
    fields = {field.name: field for field in dataclasses.fields(ModelConfig)}
    # Runs of before these were saved had no choice.
    content = {**{name: fields[name].default for name in LATER}, **content}
    if set(content) != set(fields):
        wrong = ", ".join(sorted(set(content) ^ set(fields)))
        raise InputError(f"{path}: missing or unknown: {printable(wrong, 200)}")
    sizes = ("height", "width", "feature_dim", "batch_size", "samples")
    classes = content["classes"]
    good = {
        "method": content["method"] in METHODS,
        "backbone": content["backbone"] in BACKBONES or content["backbone"] == CUSTOM,
        "classes": isinstance(classes, list)
        and 2 <= len(classes) <= MAX_SIZE
        and all(isinstance(name, str) for name in classes)
        and len(set(classes)) == len(classes),
        "channels": content["channels"] in (1, 3) and _is_size(content["channels"]),
        "resize": content["resize"] in get_args(Resize),
        "own_transforms": isinstance(content["own_transforms"], bool),
        "white_integer": _is_white(content["white_integer"], WHITE_INTEGERS),
        "white_float": _is_white(content["white_float"], WHITE_FLOATS),
        **{name: _is_size(content[name]) for name in sizes},
        **{name: _is_number(content[name]) for name in ("alpha", "beta", "threshold")},
    }
    plugin = content["plugin"]
    good["plugin"] = (
        isinstance(plugin, list | tuple)
        and len(plugin) <= MAX_PLUGINS
        and all(isinstance(module, str) for module in plugin)
    )
    for name, fits in good.items():
        if fits:
            continue
        shown = printable(repr(content[name]), 80)
        if name in ("method", "backbone") and good["plugin"] and plugin:
            modules = " ".join(printable(module, 80) for module in plugin)
            raise InputError(
                f"{path}: {name} {shown} is not known: pass --plugin {modules} or import what it "
                "names, if you trust it"
            )
        raise InputError(f"{path}: {name} cannot be {shown}")
    try:
        return ModelConfig(**{**content, "classes": tuple(classes), "plugin": tuple(plugin)})
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def _is_size(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MAX_SIZE


def _is_white(value: object, allowed: tuple[int, ...]) -> bool:
    return value is None or (_is_size(value) and value in allowed)


def _is_number(value: object) -> bool:
    # What a 32-bit float holds: weights do.
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e38
