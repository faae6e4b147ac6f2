"""What an exported file says of itself: classes, preprocessing, origin and licence."""

import json

from pyg_agfn import __version__
from pyg_agfn.exported_model import FORMAT
from pyg_agfn.preprocessing import Preprocessing
from pyg_agfn.runs.model_config import ModelConfig

#: What is said of the weights' licence; the data set's name goes in, where it is known.
LICENSE = (
    "The weights were learned from {data}, and inherit the licence and the terms of use of these "
    "images and labels, and of any weights that the training began with. The software that wrote "
    "this file is under the MIT licence."
)


def license_note(dataset: str | None) -> str:
    """The note on the licence of weights that were trained on a data set."""
    return LICENSE.format(data=f"the data set {dataset!r}" if dataset else "the user's own images")


def describe(config: ModelConfig, precision: str, dataset: str | None) -> dict[str, str]:
    """The metadata of a file, in its own order.

    Args:
        config: What the model is.
        precision: ``fp32``, ``fp16`` or ``int8``.
        dataset: The name of the data set that it was trained on; None for the user's own.
    """
    preprocessing = Preprocessing(
        config.channels,
        config.height,
        config.width,
        config.resize,
        config.interpolation,
        config.white,
    )
    told = None if config.own_transforms else preprocessing.as_json()
    return {
        "format": str(FORMAT),
        "version": __version__,
        "method": config.method,
        "backbone": config.backbone,
        "precision": precision,
        "classes": json.dumps(config.classes),
        "preprocessing": json.dumps(told),
        "license": license_note(dataset),
    }
