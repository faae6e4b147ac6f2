"""Training: options, data on its way to the device, coordinate descent, evaluation, runs."""

from pyg_agfn.training.options import DATASET_DEFAULTS, TrainOptions, parse_options, parse_resume
from pyg_agfn.training.run import (
    load_datasets,
    make_fabric,
    resume_run,
    train_method,
    train_methods,
)

__all__ = [
    "DATASET_DEFAULTS",
    "TrainOptions",
    "load_datasets",
    "make_fabric",
    "parse_options",
    "parse_resume",
    "resume_run",
    "train_method",
    "train_methods",
]
