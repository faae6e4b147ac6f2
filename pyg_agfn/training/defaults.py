"""Defaults of a training run that depend on its data set or method."""

from collections.abc import Mapping
from typing import Any

from pyg_agfn.registry import DATASETS, METHODS

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


#: PyTorch's own defaults of the optimizers whose learning rates are smaller than SGD's.
OPTIMIZER_DEFAULTS: dict[str, dict[str, Any]] = {
    "adam": {"lr": 0.001},
    "adamw": {"lr": 0.001, "weight_decay": 0.01},
}


def dataset_defaults(name: str) -> Mapping[str, Any]:
    """A data set's own defaults of training options; none of a data set that is unknown.

    Those of the package are :data:`DATASET_DEFAULTS`, so that no data set is imported for them;
    others bring theirs (:func:`pyg_agfn.datasets.reader.register_dataset`).
    """
    if name in DATASET_DEFAULTS:
        return DATASET_DEFAULTS[name]
    if name not in DATASETS:
        return {}
    reader = DATASETS[name]
    return {"eval_split": reader.splits[0], **reader.defaults}


def method_defaults(name: object) -> Mapping[str, Any]:
    """A method's own defaults of training options; none of a method that is unknown."""
    return METHODS[name].defaults if isinstance(name, str) and name in METHODS else {}
