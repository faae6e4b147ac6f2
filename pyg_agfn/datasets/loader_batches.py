"""Mini-batches from any map-style data set of (image, label), by a PyTorch DataLoader."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, default_collate

from pyg_agfn.datasets.augmentation import to_float
from pyg_agfn.datasets.batch_order import SeededBatches
from pyg_agfn.datasets.dataset_items import (
    check_map_style,
    same_kind,
    split_item,
    to_image,
    to_label,
)
from pyg_agfn.datasets.image_batch import ImageBatch
from pyg_agfn.datasets.views import ViewMaker
from pyg_agfn.distributed import own_rows, world_size
from pyg_agfn.errors import InputError
from pyg_agfn.generators import generator_for

Collate = Callable[[list[Any]], Any]


def make_loader(
    dataset: Dataset[Any],
    batch_size: int,
    shuffle: bool = False,
    seed: int = 0,
    workers: int = 0,
    collate_fn: Collate | None = None,
    weights: Tensor | None = None,
) -> DataLoader[Any]:
    """A loader whose order is the seed's, as that of :class:`~pyg_agfn.datasets.batches.Batches`.

    It draws nothing from the global generator. A last batch of fewer images is left out of a
    shuffled pass; in a shuffled pass each process reads its own rows of a batch.

    Args:
        dataset: Items (image, label).
        batch_size: Images a batch, of all processes; all images if there are fewer.
        shuffle: Draw the order.
        seed: Of the order, and of the workers' generators.
        workers: Processes that read items ahead.
        collate_fn: Makes a batch of items; PyTorch's if not given.
        weights: Of the images, by which a shuffled pass draws them with replacement.
    """
    return DataLoader(
        dataset,
        batch_sampler=SeededBatches(len(dataset), batch_size, shuffle, seed, weights),  # type: ignore[arg-type]
        num_workers=workers,
        collate_fn=collate_fn,
        generator=generator_for("workers", seed),
    )


class LoaderBatches:
    r"""Iterates over a DataLoader in mini-batches on a device that know which images they have.

    The loader's data set, sampler, batch size, workers, ``collate_fn``, pinned memory and generator
    are used as they are, by a loader of its own whose items carry their numbers. ``uint8`` and
    Pillow images become floats of -1 to 1, as in :class:`~pyg_agfn.datasets.batches.Batches`;
    floats are used as they are.

    A pass that is resumed is begun again with PyTorch's random numbers as they were, and its first
    batches are dropped. It is bitwise identical if the loader has workers, or if the data set's
    transforms draw nothing. Workers are started again for each pass. In their transforms, random
    numbers have to be PyTorch's.

    Args:
        loader: Over a map-style data set of (image, label).
        device: Where batches are wanted.
        views: Further views of the images, by their names in
            :data:`~pyg_agfn.datasets.views.VIEWS`.
        augmented: Pass ``uint8`` and Pillow images through
            :func:`~pyg_agfn.datasets.augmentation.random_affine` and
            :func:`~pyg_agfn.datasets.augmentation.random_erasing`; floats never.
        seed: Of augmentation and views.
        labels: Of the data set's images, :math:`(n)`, if items are to have these.

    Yields :class:`~pyg_agfn.datasets.image_batch.ImageBatch`.

    Raises:
        InputError: The loader has no batches or no length, or is not ours in several processes.
            While it is iterated: an item or batch is no (image, label); the message names it.
    """

    def __init__(
        self,
        loader: DataLoader[Any],
        device: torch.device | str = "cpu",
        views: Sequence[str] = (),
        augmented: bool = False,
        seed: int = 0,
        labels: Tensor | None = None,
    ) -> None:
        check_map_style(loader.dataset)
        sampler = loader.batch_sampler
        if sampler is None:
            raise InputError("DataLoader: batch_size is None; give one")
        try:
            self._length = len(loader)
        except TypeError:
            raise InputError("DataLoader: its sampler has no length; give it __len__") from None
        self._shared = isinstance(sampler, SeededBatches) and sampler.shuffle
        if world_size() > 1 and not isinstance(sampler, SeededBatches):
            raise InputError(
                "several processes cannot share a DataLoader: give its Dataset, whose batches are "
                "divided among them"
            )
        self.device = torch.device(device)
        self.augmented = augmented
        self.labels = labels
        self.maker = ViewMaker(views, generator_for("augmentation", seed), seed)
        #: Images in the data set.
        self.num_images = len(loader.dataset)  # type: ignore[arg-type]
        size = getattr(sampler, "batch_size", None)
        mean = -(-self.num_images // max(1, self._length))
        self.batch_size = size if isinstance(size, int) else mean
        #: Batches of the pass so far.
        self.done = 0
        self._skip = 0
        self._begin: dict[str, Tensor] | None = None
        self._loader: DataLoader[Any] = DataLoader(
            _Numbered(loader.dataset),
            batch_sampler=sampler,
            num_workers=loader.num_workers,
            collate_fn=_Collate(loader.collate_fn),
            pin_memory=loader.pin_memory,
            timeout=loader.timeout,
            worker_init_fn=loader.worker_init_fn,
            multiprocessing_context=loader.multiprocessing_context,
            generator=loader.generator,
            prefetch_factor=loader.prefetch_factor,
        )
        inner = getattr(sampler, "sampler", None)
        holders = (loader, sampler, inner)
        found = [getattr(holder, "generator", None) for holder in holders]
        #: Those that the loader draws from beside the global one, each once.
        self._generators = {id(g): g for g in found if isinstance(g, torch.Generator)}

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[ImageBatch]:
        first, self._skip = self._skip, 0
        if not first or self._begin is None:
            self._begin = self._states()
        now = torch.get_rng_state()
        if first:
            torch.set_rng_state(self._begin["global_generator"])
        passing = iter(self._loader)
        self.done = 0
        for rows in passing if first else ():
            self._draw(_checked(rows))
            self.done += 1
            if self.done == first:
                break
        if first:
            torch.set_rng_state(now)
        for rows in passing:
            yield self._prepare(_checked(rows))
        self._begin, self.done = None, 0

    def state_dict(self) -> dict[str, Tensor]:
        """The generators where the pass began; :attr:`done` tells how many batches came since."""
        return self._states() if self._begin is None else self._begin

    def load_state_dict(self, state: dict[str, Tensor], done: int) -> None:
        """The next pass is the one of that state, without its first batches."""
        torch.Generator().set_state(state["global_generator"])  # raises what is no state
        self.maker.load_state_dict(state)
        for number, generator in enumerate(self._generators.values()):
            generator.set_state(state[f"loader_generator.{number}"])
        self._begin = dict(state) if done else None
        self.done = self._skip = done

    def _states(self) -> dict[str, Tensor]:
        states = {**self.maker.state_dict(), "global_generator": torch.get_rng_state()}
        for number, generator in enumerate(self._generators.values()):
            states[f"loader_generator.{number}"] = generator.get_state()
        return states

    def _draw(self, rows: "_Rows") -> dict[str, Tensor]:
        """Draws for own rows of a batch, of those for the whole of it."""
        count = len(rows.labels) * (world_size() if self._shared else 1)
        part = own_rows(count) if self._shared else slice(None)
        drawn = self.maker.draw(count, self.augmented and rows.images.dtype == torch.uint8)
        return {name: draw[:, part] for name, draw in drawn.items()}

    def _prepare(self, rows: "_Rows") -> ImageBatch:
        if self.labels is not None:
            expected = self.labels[rows.index]
            if not torch.equal(expected, rows.labels):
                i = int((expected != rows.labels).nonzero()[0])
                raise InputError(
                    f"item {int(rows.index[i])}: its label is {int(rows.labels[i])}, where it was "
                    f"{int(expected[i])} before; an image's label must not change"
                )
        drawn = {name: draw.to(self.device) for name, draw in self._draw(rows).items()}
        images = rows.images.to(self.device, non_blocking=True)
        images = (
            to_float(images)
            if images.dtype == torch.uint8
            else images.to(torch.float32, memory_format=torch.channels_last)
        )
        images, views = self.maker.make(images, drawn)
        self.done += 1
        return ImageBatch(images, rows.labels.to(self.device), rows.index, views)


class _Rows(NamedTuple):
    """A batch on its way from a worker."""

    images: Tensor
    labels: Tensor
    index: Tensor  # type: ignore[assignment]  # a tuple has a method of this name


def _checked(rows: _Rows | str) -> _Rows:
    # An exception would come out of a worker with its traceback as text.
    if isinstance(rows, str):
        raise InputError(rows)
    return rows


class _Numbered(Dataset[tuple[int, Any]]):
    """Items with their numbers."""

    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> tuple[int, Any]:
        return index, self.dataset[index]


class _Collate:
    """Makes a batch of numbered items; gives the message where they cannot be used."""

    def __init__(self, collate_fn: Collate) -> None:
        self.collate_fn = None if collate_fn is default_collate else collate_fn

    def __call__(self, items: list[tuple[int, Any]]) -> _Rows | str:
        index = [int(i) for i, _ in items]
        try:
            if self.collate_fn is None:
                images, labels = _stack(items)
            else:
                images, labels = _check_batch(self.collate_fn([item for _, item in items]), index)
        except InputError as error:
            return str(error)
        return _Rows(images, labels, torch.tensor(index))


def _stack(items: list[tuple[int, Any]]) -> tuple[Tensor, Tensor]:
    images: list[Tensor] = []
    labels: list[int] = []
    for index, item in items:
        image, label = split_item(item, index)
        images.append(to_image(image, index))
        same_kind(images[-1], index, images[0], items[0][0])
        labels.append(to_label(label, index))
    return torch.stack(images), torch.tensor(labels)


def _check_batch(batch: object, index: list[int]) -> tuple[Tensor, Tensor]:
    """What a user's ``collate_fn`` made of the items, if it is images and labels."""
    which = ", ".join(map(str, index[:3])) + ", ..." * (len(index) > 3)
    where = f"batch of items {which}: collate_fn must give (images, labels)"
    if not isinstance(batch, tuple | list) or len(batch) != 2:
        raise InputError(f"{where}, got a {type(batch).__name__}")
    images, labels = batch
    if not isinstance(images, Tensor) or images.dim() != 4:
        raise InputError(f"{where}, images a tensor (N, C, H, W)")
    if images.dtype != torch.uint8 and not images.is_floating_point():
        raise InputError(f"{where}, images of uint8 or floats, got {images.dtype}")
    if not isinstance(labels, Tensor | list | tuple) or not len(images) == len(labels) == len(
        index
    ):
        raise InputError(f"{where}, one image and one label for each of its {len(index)} items")
    return images, torch.tensor([to_label(y, i) for y, i in zip(labels, index, strict=True)])
