"""Steps of a training method on made batches."""

from torch import Tensor

from pyg_agfn.methods import Method, StepOutput, TrainingBatch
from pyg_agfn.nn import BaselineClassifier


def set_up(method: Method, model: BaselineClassifier, num_images: int = 120) -> Method:
    """The method, set up for a model in training mode."""
    method.setup(model.train(), num_images)
    return method


def step(
    method: Method,
    images: Tensor,
    labels: Tensor,
    index: Tensor,
    epoch: int = 1,
    soft_labels: Tensor | None = None,
    **views: Tensor,
) -> StepOutput:
    """What a step on these images yields."""
    return method.training_step(TrainingBatch(images, labels, index, views, epoch, soft_labels))
