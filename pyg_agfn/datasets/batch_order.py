"""Which images make up each mini-batch of a pass."""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.utils.data import Sampler

from pyg_agfn.distributed import own_rows
from pyg_agfn.generators import generator_for


def count_batches(num_images: int, batch_size: int, shuffle: bool) -> int:
    """Number of batches a pass; a shuffled one leaves out a last batch of fewer images."""
    return num_images // batch_size if shuffle else -(-num_images // batch_size)


def balance_weights(labels: Tensor) -> Tensor:
    """Weights of images by which each class is drawn equally often: inverse to its count."""
    return labels.bincount().double().reciprocal()[labels].cpu()


def draw_batches(
    num_images: int,
    batch_size: int,
    generator: torch.Generator | None,
    weights: Tensor | None = None,
) -> tuple[Tensor, ...]:
    """The images of each batch: in an order drawn from the generator, or else in their own.

    Args:
        num_images: In the data set.
        batch_size: Images a batch.
        generator: Of the order; None: no order is drawn.
        weights: Of the images, by which they are drawn with replacement.
    """
    if generator is None:
        return torch.arange(num_images).split(batch_size)
    if weights is None:
        order = torch.randperm(num_images, generator=generator)
    else:
        order = torch.multinomial(weights, num_images, replacement=True, generator=generator)
    return order.split(batch_size)[: count_batches(num_images, batch_size, shuffle=True)]


class SeededBatches(Sampler[list[int]]):
    """A batch sampler in the order of :class:`~pyg_agfn.datasets.batches.Batches`.

    Of a shuffled pass each process gets its own rows of a batch.

    Args:
        num_images: In the data set.
        batch_size: Images a batch; all of them if there are fewer.
        shuffle: Draw the order; else it is the data set's.
        seed: Of the order.
        weights: Of the images, by which a shuffled pass draws them with replacement.
    """

    def __init__(
        self,
        num_images: int,
        batch_size: int,
        shuffle: bool,
        seed: int,
        weights: Tensor | None = None,
    ) -> None:
        self.num_images = num_images
        self.batch_size = min(batch_size, num_images)
        self.shuffle = shuffle
        self.weights = weights
        self.generator = generator_for("order", seed)

    def __len__(self) -> int:
        return count_batches(self.num_images, self.batch_size, self.shuffle)

    def __iter__(self) -> Iterator[list[int]]:
        generator = self.generator if self.shuffle else None
        for batch in draw_batches(self.num_images, self.batch_size, generator, self.weights):
            yield batch[own_rows(len(batch))].tolist() if self.shuffle else batch.tolist()
