"""Torchvision's classification models: ``torchvision/NAME``."""

import functools
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from functools import partial
from typing import Any, get_args

import torch
import torchvision
from torch import nn
from torch.overrides import TorchFunctionMode

from pyg_agfn.choices import Interpolation
from pyg_agfn.nn.input_normalization import InputConvention
from pyg_agfn.nn.near_names import unknown_name

#: The number of classes by which a model's last layer is found.
CLASSES = 1000
#: Models with further classifiers, which a training does not use.
AUXILIARY = {"googlenet", "inception_v3"}


def find(name: str) -> Callable[..., nn.Module]:
    """The function that builds a model of torchvision.

    Args:
        name: One of ``torchvision.models.list_models(module=torchvision.models)``.

    Raises:
        InputError: There is no such model.
    """
    if name not in _names():
        raise unknown_name("torchvision", name, _names())
    return partial(build, name)


@functools.cache
def _names() -> tuple[str, ...]:
    return tuple(torchvision.models.list_models(module=torchvision.models))


def build(name: str, in_channels: int = 3, **arguments: Any) -> nn.Module:
    r"""A model of torchvision without its classifier, randomly initialized.

    Args:
        name (str): Of :func:`find`.
        in_channels (int): 1 for grey images, 3 for colour. (default: :obj:`3`)
        **arguments: Of the model's constructor, such as ``dropout`` or ``image_size``.

    Shapes:
        - **input:** :math:`(N, C, H, W)`
        - **output:** :math:`(N, F)`, F in attribute ``num_features``
    """
    if name in AUXILIARY:
        arguments = {"aux_logits": False, "init_weights": True, **arguments}
    with _ValuesOnCPU() if name.startswith("regnet") else nullcontext():
        model: nn.Module = torchvision.models.get_model(name, weights=None, **arguments)
    if in_channels != 3:
        _replace_stem(model, in_channels)
    model.num_features = _remove_classifier(model)  # type: ignore[assignment]
    return model


class _ValuesOnCPU(TorchFunctionMode):
    """Keeps numbers on the CPU where a model is built without storage, on the meta device.

    torchvision computes the widths of a RegNet by tensors.
    """

    def __torch_function__(  # type: ignore[override]
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        given = kwargs or {}
        if func in (torch.arange, torch.tensor):
            given = {"device": "cpu", **given}
        return func(*args, **given)


def _replace_stem(model: nn.Module, in_channels: int) -> None:
    """Gives the first convolution another number of input channels."""
    path, stem = next((p, m) for p, m in model.named_modules() if isinstance(m, nn.Conv2d))
    stem = nn.Conv2d(
        in_channels,
        stem.out_channels,
        stem.kernel_size,  # type: ignore[arg-type]
        stem.stride,  # type: ignore[arg-type]
        stem.padding,  # type: ignore[arg-type]
        bias=stem.bias is not None,
    )
    nn.init.kaiming_normal_(stem.weight, mode="fan_out", nonlinearity="relu")
    model.set_submodule(path, stem)


def _remove_classifier(model: nn.Module) -> int:
    """Replaces the layer that yields the classes by the identity; returns its input features.

    It is linear, or, in SqueezeNet, a 1x1 convolution before the pooling.
    """
    layers = list(model.named_modules())
    for path, layer in reversed(layers):
        if isinstance(layer, nn.Linear) and layer.out_features == CLASSES:
            model.set_submodule(path, nn.Identity())
            return layer.in_features
        if isinstance(layer, nn.Conv2d) and layer.out_channels == CLASSES:
            model.set_submodule(path, nn.Identity())
            return layer.in_channels
    raise ValueError(f"{type(model).__name__} has no layer of {CLASSES} classes")


def pretrained(name: str, arguments: Mapping[str, Any]) -> tuple[nn.Module, InputConvention]:
    """The model with torchvision's own weights, and what these weights expect of images."""
    weights: Any = torchvision.models.get_model_weights(name).DEFAULT
    model = build(name, **arguments)
    # The classifier, and what is beside it in training, are left over.
    model.load_state_dict(weights.get_state_dict(check_hash=True), strict=False)
    transform = weights.transforms()
    # Their weights were made for -1..1; torchvision's models turn ImageNet's scale into it.
    half = (0.5,) if name in AUXILIARY else None
    return model, InputConvention(
        mean=half or tuple(transform.mean),
        std=half or tuple(transform.std),
        range=1,
        order="rgb",
        channels=3,
        side=transform.crop_size[0],
        interpolation=pretrained_interpolation(name),
    )


def pretrained_interpolation(name: str) -> Interpolation | None:
    """How the images of torchvision's own weights were resized, without fetching these."""
    weights: Any = torchvision.models.get_model_weights(name).DEFAULT
    found = weights.transforms().interpolation.value
    return found if found in get_args(Interpolation) else None
