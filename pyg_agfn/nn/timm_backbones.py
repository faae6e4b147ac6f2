"""Backbones of `timm <https://github.com/huggingface/pytorch-image-models>`_: ``timm/NAME``.

timm is an extra (``pip install "pyg_agfn[timm]"``), and is imported when such a name is looked up.
Names of a hub or of a folder (``hf-hub:``, ``local-dir:``) are none of its models.
"""

import functools
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, get_args

from torch import nn

from pyg_agfn.choices import Interpolation
from pyg_agfn.extras import require
from pyg_agfn.nn.input_normalization import InputConvention
from pyg_agfn.nn.near_names import unknown_name


def find(name: str) -> Callable[..., nn.Module]:
    """The function that builds a model of timm.

    Args:
        name: One of ``timm.list_models()``, with the tag of its weights (``resnet50.a1_in1k``) or
            without.

    Raises:
        InputError: timm is not installed, or has no such model.
    """
    if name not in _names():
        raise unknown_name("timm", name, _names())
    return partial(build, name)


@functools.cache
def _names() -> tuple[str, ...]:
    require("timm")
    import timm

    return (*timm.list_models(), *timm.list_models(pretrained=True))


def build(name: str, in_channels: int = 3, **arguments: Any) -> nn.Module:
    r"""A model of timm without its classifier.

    Args:
        name (str): Of :func:`find`.
        in_channels (int): 1 for grey images, 3 for colour. (default: :obj:`3`)
        **arguments: Of ``timm.create_model``, such as ``pad_type`` or ``img_size``.

    Shapes:
        - **input:** :math:`(N, C, H, W)`
        - **output:** :math:`(N, F)`, F in attribute ``num_features``
    """
    import timm

    model: nn.Module = timm.create_model(name, num_classes=0, in_chans=in_channels, **arguments)
    # timm's num_features are those of the last map; some models have a layer behind it.
    if model.num_features != model.head_hidden_size:
        model.num_features = model.head_hidden_size
    return model


def pretrained(name: str, arguments: Mapping[str, Any]) -> tuple[nn.Module, InputConvention]:
    """The model with timm's own weights, and what these weights expect of images."""
    model = build(name, pretrained=True, **arguments)
    config: dict[str, Any] = model.pretrained_cfg  # type: ignore[assignment]
    return model, InputConvention(
        mean=tuple(config["mean"]),
        std=tuple(config["std"]),
        range=1,
        order="rgb",
        channels=config["input_size"][0],
        side=config["input_size"][-1],
        interpolation=_interpolation(config),
    )


def pretrained_interpolation(name: str) -> Interpolation | None:
    """How the images of timm's own weights were resized, without fetching these."""
    import timm

    config = timm.get_pretrained_cfg(name)
    return None if config is None else _interpolation(config.to_dict())


def _interpolation(config: Mapping[str, Any]) -> Interpolation | None:
    found = config.get("interpolation")  # may be "random", and is missing in old configurations
    return found if found in get_args(Interpolation) else None
