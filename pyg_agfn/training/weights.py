"""Weights that a backbone begins with: found, matched by name and shape, and loaded.

What they expect of images becomes options of the run (:func:`with_convention`).
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from pyg_agfn.backbone_args import is_own_class, parse_args
from pyg_agfn.errors import InputError, printable
from pyg_agfn.nn import build_backbone
from pyg_agfn.nn.own_backbone import build_own_backbone
from pyg_agfn.nn.resnets import RESNETS
from pyg_agfn.registry import BACKBONES
from pyg_agfn.training.options import TrainOptions
from pyg_agfn.training.weights_file import StoredWeights, open_weights_file, weights_of

#: What stands before the names of a backbone that was a part of another model.
PREFIXES = ("module.", "backbone.", "encoder.", "model.")
#: Share of the backbone's tensors that has to match.
LEAST_SHARE = 0.9
DEFAULT = Path("default")


@dataclass(frozen=True)
class Match:
    """Which tensors of a file are which of a backbone.

    Attributes:
        names: The file's by the backbone's, where the shapes are equal too.
        differing: The same where they are not.
        missing: The backbone's that the file lacks.
        left_over: The file's that the backbone has not, such as its classifier.
    """

    names: dict[str, str]
    differing: dict[str, str]
    missing: list[str]
    left_over: list[str]


def open_weights(options: TrainOptions, module: nn.Module | None = None) -> StoredWeights:
    """The weights that the options name, for their backbone.

    Args:
        options: Of the run.
        module: The backbone, where it is an object of the user's.

    Raises:
        InputError: They cannot be had, or there are none.
    """
    if options.weights == DEFAULT:
        return _default_weights(options, module)
    size = sum(t.numel() * t.element_size() for t in _empty(options, 3, module).values())
    assert options.weights is not None
    return open_weights_file(options.weights, size)


def _default_weights(options: TrainOptions, module: nn.Module | None) -> StoredWeights:
    """Timm's or torchvision's own."""
    name = options.backbone
    family, _, model_name = (f"torchvision/{name}" if name in RESNETS else name).partition("/")
    if module is not None or BACKBONES.family_of(f"{family}/{model_name}") is None:
        raise InputError(
            f"--weights default: there are none of {name}; choose timm/NAME or torchvision/NAME, "
            "or give a file"
        )
    BACKBONES[f"{family}/{model_name}"]  # timm is there, and has it
    if family == "timm":
        from pyg_agfn.nn.timm_backbones import pretrained
    else:
        from pyg_agfn.nn.torchvision_backbones import pretrained
    try:
        model, convention = pretrained(model_name, parse_args(options.backbone_arg))
    except Exception as error:  # of the network, or of a model without weights
        reason = printable(" ".join(f"{type(error).__name__}: {error}".split()), 200)
        raise InputError(
            f"--weights default: those of {name} cannot be had ({reason}); fetch them elsewhere, "
            "and give the file, --weights FILE"
        ) from None
    return weights_of(f"--weights default of {name}", model.state_dict(), convention)


def _empty(options: TrainOptions, channels: int, module: nn.Module | None) -> dict[str, Tensor]:
    """The backbone's tensors, if it can be without storage."""
    if module is not None:
        return dict(module.state_dict())
    arguments = parse_args(options.backbone_arg)
    if is_own_class(options.backbone):
        return dict(build_own_backbone(options.backbone, channels, arguments).state_dict())
    with torch.device("meta"):
        return dict(build_backbone(options.backbone, channels, arguments).state_dict())


def with_convention(
    options: TrainOptions,
    weights: StoredWeights,
    image_channels: int,
    module: nn.Module | None = None,
    scaled: bool = True,
) -> TrainOptions:
    """The options with what the weights expect of images, where the user has not said it.

    Grey images become three channels for weights of three.

    Args:
        options: Of the run.
        weights: What the backbone begins with.
        image_channels: Of the images.
        module: The backbone, where it is an object of the user's.
        scaled: Whether the images are scaled here; floats of the user's are used as they are.

    Raises:
        InputError: The weights are for grey images, and the images are coloured.
    """
    says = weights.convention
    found: dict[str, object] = {}
    if scaled:
        for name in ("mean", "std", "range", "order"):
            if getattr(options, f"input_{name}") is None:
                found[f"input_{name}"] = getattr(says, name)
    if image_channels == 1 and found.get("input_order") == "bgr":
        found["input_order"] = None
    if options.input_channels is None and module is None:
        channels = says.channels or _stem_channels(options, weights)
        if channels == 1 and image_channels == 3:
            raise InputError(
                f"{weights.name}: are made for grey images, and these have 3 channels; make the "
                "images grey, or choose other weights"
            )
        if channels not in (image_channels, None):
            found["input_channels"] = channels
    return dataclasses.replace(options, **found)  # type: ignore[arg-type]


def _stem_channels(options: TrainOptions, weights: StoredWeights) -> int | None:
    """1 if the backbone's first layer has one channel in the file, else 3.

    None for a class of the user's that is the same for any number of channels.
    """
    grey, wanted = (
        {name: tuple(tensor.shape) for name, tensor in _empty(options, channels, None).items()}
        for channels in (1, 3)
    )
    if grey == wanted:
        return None
    match = match_names(weights.shapes, wanted)
    pairs = [(wanted[ours], weights.shapes[theirs]) for ours, theirs in match.differing.items()]
    one = any(a[1:2] == (3,) and b == (a[0], 1, *a[2:]) for a, b in pairs)
    return 1 if one else 3


def describe_convention(
    options: TrainOptions, weights: StoredWeights, image_shape: tuple[int, int, int]
) -> list[str]:
    """What is said of how images meet the weights."""
    lines = []
    _, height, width = image_shape
    side = weights.convention.side
    if side is not None and 2 * min(height, width) < side:
        lines.append(
            f"{weights.name}: were made for images of {side} pixels, and these have {height}x"
            f"{width}: a greater --image-size may give better features"
        )
    says = [
        f"{name} {_shown(value)}"
        for name in ("range", "mean", "std", "order")
        if (value := getattr(options, f"input_{name}")) is not None
    ]
    lines.append(
        f"{weights.name}: images by {', '.join(says)}"
        if says
        else f"{weights.name}: do not say what they expect of images, which are scaled to -1..1; "
        "--input-mean, --input-std and --input-range say it"
    )
    if options.input_channels is not None and image_shape[0] != options.input_channels:
        lines.append(f"{weights.name}: grey images become {options.input_channels} channels")
    return lines


def _shown(value: object) -> str:
    if not isinstance(value, tuple):
        return str(value)
    return " ".join(f"{number:g}" for number in value)


def match_names(
    stored: Mapping[str, tuple[int, ...]], wanted: Mapping[str, tuple[int, ...]]
) -> Match:
    """Which stored tensor is which of the backbone's.

    A name is the backbone's as it is, or without one or more of :data:`PREFIXES` at its beginning;
    the name with fewest of them taken off wins.
    """
    names: dict[str, str] = {}
    taken_off: dict[str, int] = {}
    left_over = []
    for name in stored:
        found = _without_prefixes(name, wanted)
        if found is None:
            left_over.append(name)
            continue
        ours, count = found
        if ours in names and taken_off[ours] <= count:
            left_over.append(name)
            continue
        if ours in names:
            left_over.append(names[ours])
        names[ours], taken_off[ours] = name, count
    equal = {ours: theirs for ours, theirs in names.items() if stored[theirs] == wanted[ours]}
    differing = {ours: theirs for ours, theirs in names.items() if ours not in equal}
    missing = [name for name in wanted if name not in names]
    return Match(equal, differing, missing, left_over)


def _without_prefixes(name: str, wanted: Mapping[str, tuple[int, ...]]) -> tuple[str, int] | None:
    """The backbone's name for a stored one, and how many prefixes were taken off."""
    for count in range(len(name)):
        if name in wanted:
            return name, count
        prefix = next((prefix for prefix in PREFIXES if name.startswith(prefix)), None)
        if prefix is None:
            return None
        name = name.removeprefix(prefix)
    return None


@torch.no_grad()
def load_weights(backbone: nn.Module, weights: StoredWeights) -> str:
    """Loads weights into a backbone; what has no match keeps its own.

    The counters of batch normalization, which old files lack, are not counted.

    Returns:
        A line that says what matched.

    Raises:
        InputError: Fewer than :data:`LEAST_SHARE` of the backbone's tensors match in name and
            shape, a tensor is not finite, or the weights are for another number of channels.
    """
    own = backbone.state_dict()
    wanted = {name: tuple(tensor.shape) for name, tensor in own.items()}
    match = match_names(weights.shapes, wanted)
    counted = [name for name in wanted if not name.endswith("num_batches_tracked")]
    good = sum(name in match.names for name in counted)
    rest = [
        _listed(
            "shapes differ", [_both(n, wanted[n], weights, t) for n, t in match.differing.items()]
        ),
        _listed("missing", [name for name in match.missing if name in set(counted)]),
        _listed("left over", match.left_over),
    ]
    found = f"{good} of {len(counted)} tensors match"
    line = "; ".join((f"{weights.name}: {found}", *filter(None, rest)))
    if good < LEAST_SHARE * len(counted):
        raise InputError(
            f"{line}; {LEAST_SHARE:.0%} have to match: choose the --backbone or the "
            "--backbone-arg that these weights are of"
        )
    for ours, theirs in match.differing.items():
        have, need = weights.shapes[theirs], wanted[ours]
        if len(have) == 4 and {have[1], need[1]} == {1, 3} and have[2:] == need[2:]:
            raise InputError(
                f"{line}; the weights are for images of {have[1]} channels, and the backbone has "
                f"{need[1]}: give --input-channels {have[1]}"
            )
    for ours, theirs in match.names.items():
        tensor = weights.read(theirs)
        if not bool(tensor.isfinite().all()):
            raise InputError(f"{weights.name}: {printable(theirs, 100)} is not finite")
        own[ours].copy_(tensor)
    return line


def _both(name: str, wanted: tuple[int, ...], weights: StoredWeights, theirs: str) -> str:
    return f"{name} is {list(weights.shapes[theirs])} where the backbone has {list(wanted)}"


def _listed(what: str, names: list[str]) -> str:
    """The first names of several, and how many there are."""
    if not names:
        return ""
    first = ", ".join(printable(name, 120) for name in names[:3])
    return f"{what}: {first}" + (f" and {len(names) - 3} more" if len(names) > 3 else "")
