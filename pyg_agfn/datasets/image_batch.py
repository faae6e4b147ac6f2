"""What a mini-batch of images is, and what every source of them offers."""

from collections.abc import Iterator
from typing import NamedTuple, Protocol

import torch
from torch import Tensor


class ImageBatch(NamedTuple):
    r"""A mini-batch on its device.

    Attributes:
        images: ``float32`` :math:`(N, C, H, W)`, channels last.
        labels: As given, :math:`(N)`.
        index: Which images of the data set these are, :math:`(N)`, on the CPU.
        views: Further views of the same images, :math:`(N, C, H, W)` each, by the names of
            :data:`pyg_agfn.datasets.views.VIEWS`.
        soft_labels: Distributions :math:`(N, K)` that are learned in the place of the labels, where
            the data set has them.
    """

    images: Tensor
    labels: Tensor
    index: Tensor  # type: ignore[assignment]  # a tuple has a method of this name
    views: dict[str, Tensor]
    soft_labels: Tensor | None = None


class ImageBatches(Protocol):
    """Passes over a data set in mini-batches: what training and evaluation know of them.

    Attributes:
        batch_size: Images a batch.
        device: Where batches are.
        done: Batches of the pass so far.
    """

    batch_size: int
    device: torch.device
    done: int

    @property
    def num_images(self) -> int:
        """Number of images in the data set."""

    def __len__(self) -> int:
        """Number of batches a pass."""

    def __iter__(self) -> Iterator[ImageBatch]:
        """A pass."""

    def state_dict(self) -> dict[str, Tensor]:
        """The generators where the pass began; :attr:`done` tells how many batches came since."""

    def load_state_dict(self, state: dict[str, Tensor], done: int) -> None:
        """The next pass is the one of that state, without its first ``done`` batches."""
