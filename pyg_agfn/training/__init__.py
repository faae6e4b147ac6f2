"""Training: options, data on its way to the device, coordinate descent, evaluation, runs."""

from typing import TYPE_CHECKING

from pyg_agfn.lazy import lazy

if TYPE_CHECKING:
    from pyg_agfn.training.command_line import parse_options, parse_resume
    from pyg_agfn.training.few_images import fit_to_images
    from pyg_agfn.training.options import DATASET_DEFAULTS, TrainOptions, merge_options
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
    "fit_to_images",
    "load_datasets",
    "make_fabric",
    "merge_options",
    "parse_options",
    "parse_resume",
    "resume_run",
    "train_method",
    "train_methods",
]

__getattr__, __dir__ = lazy(
    __name__,
    {
        "command_line": ["parse_options", "parse_resume"],
        "few_images": ["fit_to_images"],
        "options": ["DATASET_DEFAULTS", "TrainOptions", "merge_options"],
        "run": ["load_datasets", "make_fabric", "resume_run", "train_method", "train_methods"],
    },
)
