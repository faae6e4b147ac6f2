"""Mini-batches from a data set that is one uint8 array: gathered, augmented, normalized at once."""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pyg_agfn.datasets.augmentation import to_float
from pyg_agfn.datasets.batch_order import balance_weights, count_batches, draw_batches
from pyg_agfn.datasets.image_batch import ImageBatch
from pyg_agfn.datasets.views import ViewMaker
from pyg_agfn.distributed import own_rows
from pyg_agfn.generators import generator_for

if TYPE_CHECKING:
    from pyg_agfn.datasets.image_dataset import ImageDataset


class Batches:
    r"""Iterates over a data set in mini-batches on a device.

    The whole array lies on the device when it takes less than half of what is free there, else
    each batch is copied from the memory map, by threads that read ahead if there are any. The
    order is drawn again at each pass, from the seed alone, so that two methods see the same images
    in the same order. A last batch of fewer images is left out of a shuffled pass: it would be a
    graph of another size.

    Args:
        dataset (ImageDataset): Images and labels.
        batch_size (int): Images a batch; all of them if there are fewer. Of a shuffled pass each
            process (:mod:`pyg_agfn.distributed`) gets its part of the batch that one would get.
        device (torch.device): Where batches are wanted.
        shuffle (bool): Draw the order; else it is the data set's, without augmentation.
        augmented (bool): Pass the images through
            :func:`~pyg_agfn.datasets.augmentation.random_affine` and
            :func:`~pyg_agfn.datasets.augmentation.random_erasing`.
        seed (int): Of order, augmentation and views.
        views (Sequence[str]): Further views of the images, by their names in
            :data:`~pyg_agfn.datasets.views.VIEWS`. The images are the same as without them, except
            that "mirrored" erases images that are not augmented.
        workers (int): Threads that read batches ahead. They change nothing but the time.
        balanced (bool): Draw the images of a shuffled pass with replacement, each class equally
            often.

    Yields :class:`~pyg_agfn.datasets.image_batch.ImageBatch`.

    Raises:
        InputError: There is no such view.
    """

    def __init__(
        self,
        dataset: "ImageDataset",
        batch_size: int,
        device: torch.device | str,
        shuffle: bool = False,
        augmented: bool = False,
        seed: int = 0,
        views: Sequence[str] = (),
        workers: int = 0,
        balanced: bool = False,
    ) -> None:
        self.images = dataset.images
        device = torch.device(device)
        if device.type == "cuda":
            free, _ = torch.cuda.mem_get_info(device)
            if self.images.numel() < free // 2:
                self.images = self.images.to(device)
        self.labels = dataset.labels.to(device)
        self.weights = balance_weights(dataset.labels) if balanced else None
        soft_labels = dataset.soft_labels
        self.soft_labels = None if soft_labels is None else soft_labels.to(device)
        self.batch_size = min(batch_size, len(dataset))
        self.device = device
        self.shuffle = shuffle
        self.generator = generator_for("order", seed)
        self.maker = ViewMaker(views, self.generator, seed)
        self.augmented = augmented
        #: Batches of the pass so far.
        self.done = 0
        self._skip = 0
        self._begin: dict[str, Tensor] | None = None
        self.workers = 0 if self.images.device.type == "cuda" else workers

    @property
    def num_images(self) -> int:
        """Number of images in the data set."""
        return len(self.labels)

    def __len__(self) -> int:
        return count_batches(self.num_images, self.batch_size, self.shuffle)

    def __iter__(self) -> Iterator[ImageBatch]:
        self._begin = self.maker.state_dict()
        generator = self.generator if self.shuffle else None
        whole = draw_batches(self.num_images, self.batch_size, generator, self.weights)
        draws = [self.maker.draw(len(batch), self.augmented) for batch in whole]
        # Draws are of the whole batch, whatever part of it this process has.
        parts = [own_rows(len(batch)) if self.shuffle else slice(None) for batch in whole]
        own = [batch[part] for batch, part in zip(whole, parts, strict=True)]
        self.done = first = self._skip
        self._skip = 0
        remaining = zip(own[first:], parts[first:], draws[first:], strict=True)
        for (chosen, part, drawn), pixels in zip(remaining, self._read(own[first:]), strict=True):
            images, views = self.maker.make(
                to_float(pixels.to(self.device, non_blocking=True)),
                {
                    name: draw[:, part].to(self.device, non_blocking=True)
                    for name, draw in drawn.items()
                },
            )
            self.done += 1
            rows = chosen.to(self.device, non_blocking=True)
            soft_labels = None if self.soft_labels is None else self.soft_labels[rows]
            yield ImageBatch(images, self.labels[rows], chosen, views, soft_labels)
        self._begin, self.done = None, 0

    def state_dict(self) -> dict[str, Tensor]:
        """The generators where the pass began; :attr:`done` tells how many batches came since."""
        return self.maker.state_dict() if self._begin is None else self._begin

    def load_state_dict(self, state: dict[str, Tensor], done: int) -> None:
        """The next pass is the one of that state, without its first batches."""
        self.maker.load_state_dict(state)
        self._begin, self.done, self._skip = None, done, done

    def _read(self, batches: Sequence[Tensor]) -> Iterator[Tensor]:
        """The pixels of each batch, in order; with workers, up to two a worker are read ahead."""

        def gather(chosen: Tensor) -> Tensor:
            pixels = self.images[chosen.to(self.images.device, non_blocking=True)]
            return pixels.pin_memory() if self.workers and self.device.type == "cuda" else pixels

        if not self.workers:
            yield from map(gather, batches)
            return
        # Threads, not processes: reading a memory map holds no lock, and nothing is copied twice.
        pool = ThreadPoolExecutor(self.workers)
        try:
            ahead = deque(pool.submit(gather, chosen) for chosen in batches[: 2 * self.workers])
            for chosen in batches[2 * self.workers :]:
                yield ahead.popleft().result()
                ahead.append(pool.submit(gather, chosen))
            while ahead:
                yield ahead.popleft().result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
