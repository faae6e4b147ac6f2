"""Weights that a backbone begins with, and what they expect of images.

The latter becomes options of the run (:func:`with_convention`, :func:`with_interpolation`).
"""

import dataclasses
from pathlib import Path

import torch
from torch import Tensor, nn

from pyg_agfn.backbone_args import is_own_class, parse_args
from pyg_agfn.choices import CUSTOM, Interpolation
from pyg_agfn.errors import InputError, printable
from pyg_agfn.nn import build_backbone
from pyg_agfn.nn.own_backbone import build_own_backbone
from pyg_agfn.nn.resnets import RESNETS
from pyg_agfn.registry import BACKBONES, DATASETS
from pyg_agfn.training.match_weights import match_names
from pyg_agfn.training.options import TrainOptions
from pyg_agfn.training.weights_file import StoredWeights, open_weights_file, weights_of

DEFAULT = Path("default")


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
    family, model_name = _find_family(options)
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


def _find_family(options: TrainOptions) -> tuple[str, str]:
    """The library whose model the backbone is, or a name of none, and the model's name in it."""
    name = options.backbone
    family, _, model_name = (f"torchvision/{name}" if name in RESNETS else name).partition("/")
    return family, model_name


def with_interpolation(options: TrainOptions) -> TrainOptions:
    """The options with the interpolation that their weights were trained with, if they say it.

    Only what is said of the weights is read: the images come before the weights themselves. What
    is wrong with these is reported when they are opened.
    """
    if options.weights is None or options.image_size is None or options.dataset == CUSTOM:
        return options
    takes_it = "interpolation" in DATASETS[options.dataset].options
    if not takes_it or "interpolation" not in options.defaulted:
        return options
    found: Interpolation | None = None
    if options.weights != DEFAULT:
        if options.weights.suffix == ".safetensors":
            found = open_weights_file(options.weights, 0).convention.interpolation
    else:
        family, model_name = _find_family(options)
        if BACKBONES.family_of(f"{family}/{model_name}") is not None:
            BACKBONES[f"{family}/{model_name}"]  # timm is there, and has it
            if family == "timm":
                from pyg_agfn.nn.timm_backbones import pretrained_interpolation
            else:
                from pyg_agfn.nn.torchvision_backbones import pretrained_interpolation
            found = pretrained_interpolation(model_name)
    return options if found is None else options.changed(interpolation=found)


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
    if options.image_size is not None and weights.convention.interpolation == options.interpolation:
        says.append(f"interpolation {options.interpolation}")
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
