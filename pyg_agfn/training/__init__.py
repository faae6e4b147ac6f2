"""Training: options, data on its way to the device, coordinate descent, evaluation, runs."""

from pyg_agfn.training.options import DATASET_DEFAULTS, TrainOptions, parse_options
from pyg_agfn.training.run import load_datasets, make_fabric, train_method, train_methods

__all__ = [
    "DATASET_DEFAULTS",
    "TrainOptions",
    "load_datasets",
    "make_fabric",
    "parse_options",
    "train_method",
    "train_methods",
]
