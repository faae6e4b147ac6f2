"""Features of a whole data set, computed once and used by every protocol."""

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

from pyg_agfn.datasets.image_batch import ImageBatches
from pyg_agfn.nn import BaselineClassifier


@torch.no_grad()
def extract_features(
    model: BaselineClassifier,
    batches: ImageBatches,
    autocast: AbstractContextManager[object] | None = None,
) -> Tensor:
    r"""The backbone's features of every image, :math:`(n, F)` in ``float32``, in evaluation mode.

    They do not depend on the batch: one pass serves every way of putting images together.

    Args:
        model: Classifier; its ``features`` are taken.
        batches: The images, in their own order.
        autocast: Precision to run the backbone in.
    """
    model.eval()
    with autocast or nullcontext():
        return torch.cat([model.features(batch.images).float() for batch in batches])
