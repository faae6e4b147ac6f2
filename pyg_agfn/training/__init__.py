"""Training: options, data on its way to the device, coordinate descent, evaluation, runs."""

from typing import TYPE_CHECKING

from pyg_agfn.lazy import lazy

if TYPE_CHECKING:
    from pyg_agfn.training.command_line import parse_options, parse_resume
    from pyg_agfn.training.data import load_datasets
    from pyg_agfn.training.few_images import fit_to_images
    from pyg_agfn.training.options import DATASET_DEFAULTS, TrainOptions
    from pyg_agfn.training.result import TrainingResult
    from pyg_agfn.training.run import resume_run, train_method, train_methods
    from pyg_agfn.training.setup import make_fabric
    from pyg_agfn.training.trainer import Trainer

__all__ = [
    "DATASET_DEFAULTS",
    "TrainOptions",
    "Trainer",
    "TrainingResult",
    "fit_to_images",
    "load_datasets",
    "make_fabric",
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
        "data": ["load_datasets"],
        "few_images": ["fit_to_images"],
        "options": ["DATASET_DEFAULTS", "TrainOptions"],
        "result": ["TrainingResult"],
        "run": ["resume_run", "train_method", "train_methods"],
        "setup": ["make_fabric"],
        "trainer": ["Trainer"],
    },
)
