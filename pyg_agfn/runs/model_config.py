"""What a model is: ``model.json`` of a run folder."""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from torch import nn

from pyg_agfn.backbone_args import Scalar, fault_in, refuse_reserved
from pyg_agfn.choices import CUSTOM, MAX_PLUGINS, MAX_SIZE, SIDES, InputOrder, Interpolation
from pyg_agfn.datasets.image_pixels import WHITE_FLOATS, WHITE_INTEGERS, Resize, White
from pyg_agfn.errors import InputError, printable
from pyg_agfn.nn import BaselineClassifier, InputConvention, InputNormalization, build_backbone
from pyg_agfn.nn.input_normalization import NormalizedBackbone
from pyg_agfn.registry import BACKBONES, METHODS
from pyg_agfn.runs.json_files import read_json

FORMAT = 1

#: Fields of ``model.json`` that older runs do not have.
LATER = (
    "resize",
    "interpolation",
    "white_integer",
    "white_float",
    "own_transforms",
    "plugin",
    "backbone_args",
    "input_channels",
    "input_mean",
    "input_std",
    "input_range",
    "input_order",
)

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
        resize, interpolation: How images of another shape were brought to this size.
        white_integer, white_float: What was white in images of more than 8 bits; null: there were
            none.
        own_transforms: Whether the images were made by transforms of the user's own, so that image
            files cannot be classified.
        plugin: Modules outside the package that registered the method or the backbone. They are
            named to the user, and never imported.
        backbone_args: Further arguments of the backbone's constructor.
        input_channels: Channels that the backbone has; null: those of the images.
        input_mean, input_std, input_range, input_order: What the backbone expects of its images
            (:class:`pyg_agfn.nn.InputConvention`); all null: -1..1.
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
    interpolation: Interpolation = "bicubic"
    white_integer: int | None = None
    white_float: int | None = None
    own_transforms: bool = False
    plugin: tuple[str, ...] = ()
    backbone_args: dict[str, Scalar] = field(default_factory=dict)
    input_channels: int | None = None
    input_mean: tuple[float, ...] | None = None
    input_std: tuple[float, ...] | None = None
    input_range: int | None = None
    input_order: InputOrder | None = None
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
        if fault := self._fault_of_input():
            raise InputError(fault)
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

    @property
    def backbone_channels(self) -> int:
        """Channels that the backbone sees."""
        return self.input_channels or self.channels

    @property
    def convention(self) -> InputConvention:
        """What the backbone expects of its images."""
        return InputConvention(
            self.input_mean, self.input_std, self.input_range, self.input_order, self.input_channels
        )

    def _fault_of_input(self) -> str:
        channels = self.backbone_channels
        if self.channels == 3 and channels != 3:
            return "--input-channels 1: the images have 3; only grey ones can be given 3"
        for name in ("input_mean", "input_std"):
            numbers = getattr(self, name)
            if numbers is not None and len(numbers) not in (1, channels):
                flag = f"--{name.replace('_', '-')}"
                if channels == 1:
                    return (
                        f"{flag} must be 1 number for grey images, got {len(numbers)}; "
                        "--input-channels 3 makes three channels of them"
                    )
                return f"{flag} must be 1 or {channels} numbers, got {len(numbers)}"
        if self.input_order == "bgr" and self.channels != 3:
            return "--input-order bgr has no effect on grey images: leave it out"
        return ""

    def build(self, backbone: nn.Module | None = None) -> BaselineClassifier:
        """The model, with weights drawn from the global generator, the backbone's first.

        Args:
            backbone: The module itself, where it is no registered one.

        Raises:
            InputError: There is none, and it is no registered one.
        """
        if backbone is None and self.backbone == CUSTOM:
            raise InputError(
                "the backbone is a module of the user's own: name it by --backbone module:Class, "
                "or load the run in Python, by load_run(folder, backbone=module)"
            )
        channels = self.backbone_channels
        if backbone is None:
            backbone = build_backbone(self.backbone, channels, self.backbone_args)
        if self.convention.changes_pixels or channels != self.channels:
            front = InputNormalization(self.convention, self.channels, channels)
            backbone = NormalizedBackbone(front, backbone)
        return METHODS[self.method].build_model(self, backbone)


def read_config(path: Path) -> ModelConfig:
    """What a ``model.json`` says.

    Raises:
        InputError: As :func:`parse_config`, or the file cannot be read.
    """
    return parse_config(path, read_json(path, NAMES_LIMIT))


def parse_config(path: Path, content: Mapping[str, Any]) -> ModelConfig:
    """The fields of a model as JSON has them.

    Args:
        path: The file that they are from, for messages.
        content: The fields.

    Raises:
        InputError: A field is missing, unknown, or cannot be.
    """
    if content.get("format") != FORMAT:
        found = repr(content.get("format"))
        raise InputError(
            f"{path}: is of format {printable(found, 80)}, this version reads {FORMAT}"
        )
    names = {spec.name for spec in dataclasses.fields(ModelConfig)}
    # Runs of before these were saved had no choice.
    usual = vars(ModelConfig("baseline", CUSTOM, ("0", "1"), 1, *SIDES))
    content = {**{name: usual[name] for name in LATER}, **content}
    if set(content) != names:
        wrong = ", ".join(sorted(set(content) ^ names))
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
        "channels": content["channels"] in (1, 3) and is_size(content["channels"]),
        "resize": content["resize"] in get_args(Resize),
        "interpolation": content["interpolation"] in get_args(Interpolation),
        "own_transforms": isinstance(content["own_transforms"], bool),
        "white_integer": _is_white(content["white_integer"], WHITE_INTEGERS),
        "white_float": _is_white(content["white_float"], WHITE_FLOATS),
        **{name: is_size(content[name]) for name in sizes},
        **{name: _is_number(content[name]) for name in ("alpha", "beta", "threshold")},
        **_check_input(content),
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
        if name == "backbone" and BACKBONES.family_of(content[name]) is not None:
            _say_why_unknown(path, content[name])
        raise InputError(f"{path}: {name} cannot be {shown}")
    tuples = ("classes", "plugin", "input_mean", "input_std")
    try:
        if content["backbone"] != CUSTOM:
            refuse_reserved(content["backbone_args"])
        made: dict[str, Any] = {
            n: tuple(v) if n in tuples and v is not None else v for n, v in content.items()
        }
        return ModelConfig(**made)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def _check_input(content: Mapping[str, Any]) -> dict[str, bool]:
    """Which fields are good of those that say what the backbone is given."""

    def are_numbers(value: object, least: float) -> bool:
        return value is None or (
            isinstance(value, list | tuple)
            and len(value) in (1, 3)
            and all(_is_number(number) and number >= least for number in value)
        )

    return {
        "backbone_args": not fault_in(content["backbone_args"]),
        "input_channels": content["input_channels"] is None or content["input_channels"] in (1, 3),
        "input_mean": are_numbers(content["input_mean"], -1e38),
        "input_std": are_numbers(content["input_std"], 1e-6),
        "input_range": content["input_range"] is None or content["input_range"] in (1, 255),
        "input_order": content["input_order"] in (None, *get_args(InputOrder)),
    }


def _say_why_unknown(path: Path, name: str) -> None:
    """Raises what the library says whose model it is: not installed, or no such model."""
    try:
        BACKBONES[name]
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def is_size(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MAX_SIZE


def _is_white(value: object, allowed: tuple[int, ...]) -> bool:
    return value is None or (is_size(value) and value in allowed)


def _is_number(value: object) -> bool:
    # What a 32-bit float holds: weights do.
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e38
