"""A feature extractor that is a module of the user's own."""

import copy
import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from pyg_agfn.backbone_args import Scalar, shown_args
from pyg_agfn.errors import InputError, printable
from pyg_agfn.registry import import_plugin


def build_own_backbone(
    name: str, in_channels: int, arguments: Mapping[str, Scalar] | None = None
) -> nn.Module:
    """An object of a class of the user's own.

    Args:
        name: ``module:Class``, as the user has typed it: the module is imported.
        in_channels: Of the images, for a class that has an argument of this name.
        arguments: Further arguments.

    Raises:
        InputError: The module cannot be imported, has no such class, or the class does not take the
            arguments or yields no ``torch.nn.Module``.
    """
    module, _, class_name = name.partition(":")
    given: dict[str, Any] = dict(arguments or {})
    make = getattr(import_plugin(module, "--backbone"), class_name, None)
    if not callable(make):
        raise InputError(f"--backbone {name}: {module} has no class {class_name}")
    shown = f" with --backbone-arg {shown_args(given)}" if given else ""
    try:
        if "in_channels" in inspect.signature(make).parameters:
            given.setdefault("in_channels", in_channels)
        made = make(**given)
    except Exception as error:  # whatever a constructor does
        raise InputError(f"--backbone {name}{shown} cannot be built: {_reason(error)}") from None
    if not isinstance(made, nn.Module):
        raise InputError(f"--backbone {name}: makes a {type(made).__name__}, no torch.nn.Module")
    return made


def copy_backbone(backbone: nn.Module) -> nn.Module:
    """A copy that shares nothing with the module.

    Raises:
        InputError: It cannot be copied.
    """
    try:
        return copy.deepcopy(backbone)
    except Exception as error:  # whatever a module keeps
        raise InputError(f"backbone {_name(backbone)} cannot be copied: {_reason(error)}") from None


def find_num_features(backbone: nn.Module, image_shape: Sequence[int]) -> int:
    """The size F of the features that a module yields, by a pass of two blank images.

    A copy of the module sees them, in evaluation mode: mode, statistics and weights of the module
    stay as they are, and no random number is drawn from the global generator.

    Args:
        backbone: The module; attribute ``num_features``, if there is one, has to be right.
        image_shape: Channels, height and width of the images.

    Raises:
        InputError: The module does not take such images, does not yield a row of features for each,
            or yields others than its ``num_features`` says; or it has lazy parameters.
    """
    name = _name(backbone)
    parameters = [*backbone.parameters(), *backbone.buffers()]
    if any(is_lazy(parameter) for parameter in parameters):
        raise InputError(
            f"backbone {name} has lazy parameters, which have no size yet: call it on a batch of "
            "images once"
        )
    device = parameters[0].device if parameters else torch.device("cpu")
    shape = "x".join(map(str, image_shape))
    trial = copy_backbone(backbone).eval()
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            found = trial(torch.zeros(2, *image_shape, device=device))
    except Exception as error:  # whatever a module does with images that it is not made for
        raise InputError(f"backbone {name} fails on images of {shape}: {_reason(error)}") from None
    if not isinstance(found, Tensor) or found.dim() != 2 or len(found) != 2:
        what = type(found).__name__
        what = f"shape {list(found.shape)}" if isinstance(found, Tensor) else f"a {what}"
        raise InputError(
            f"backbone {name} makes {what} of two images of {shape}, where features [2, F] belong: "
            "end it in pooling and nn.Flatten()"
        )
    declared = getattr(backbone, "num_features", None)
    if isinstance(declared, int) and declared != found.size(1):
        raise InputError(
            f"backbone {name} says num_features = {declared}, and yields {found.size(1)} features"
        )
    return found.size(1)


def _name(backbone: nn.Module) -> str:
    return type(backbone).__name__


def _reason(error: Exception) -> str:
    return printable(" ".join(f"{type(error).__name__}: {error}".split()), 300)
