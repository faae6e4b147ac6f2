"""Any data set of (image, label) as training data: read at each pass, or decoded once."""

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import BatchSampler, DataLoader, Dataset, Subset, default_collate

from pyg_agfn.datasets.bad_data import BadItem
from pyg_agfn.datasets.batch_order import balance_weights
from pyg_agfn.datasets.dataset_items import (
    check_map_style,
    classes_of,
    labels_of,
    names_of,
    same_kind,
    split_item,
    to_image,
    to_label,
)
from pyg_agfn.datasets.image_dataset import ImageDataset
from pyg_agfn.datasets.image_memory import MOST_BYTES, OutOfMemoryError
from pyg_agfn.datasets.image_pixels import UNKNOWN_WHITE
from pyg_agfn.datasets.labels import check_labels, fingerprint
from pyg_agfn.datasets.loader_batches import LoaderBatches, make_loader
from pyg_agfn.errors import InputError

#: Items that are read twice to see whether the data set's transforms draw something.
PROBED = 8


class LoaderData:
    r"""A map-style data set of (image, label), or a DataLoader over one, as training data.

    Its items are read at each pass, so that its own transforms are drawn at each. Labels are
    ``dataset.targets`` or ``.labels`` if the first item has that label, else those of a pass.

    Args:
        data: The data set, or the loader. Training takes the loader's own batches; other passes
            are in the data set's order, with the loader's ``collate_fn`` and workers.
        classes: Names of the classes; ``dataset.classes`` if not given, else numbers.
        every_class: Whether each class must have an image; images to measure on may lack some.

    Raises:
        InputError: It is iterable, or empty; an item is no (image, label); a class has no image.
    """

    #: Whether the images are made by transforms of the user's own.
    own_transforms = True
    #: Lines about the images that the user should read before they are used.
    notes: Sequence[str] = ()
    #: Rows and images that are left out: none.
    skipped: Sequence[BadItem] = ()
    #: What is white in images of more than 8 bits.
    white = UNKNOWN_WHITE
    #: Distributions that are learned in the place of the labels: none.
    soft_labels: Tensor | None = None

    def __init__(
        self,
        data: Dataset[Any] | DataLoader[Any],
        classes: Sequence[str] | None = None,
        every_class: bool = True,
    ) -> None:
        self.loader = data if isinstance(data, DataLoader) else None
        self.dataset: Any = data.dataset if isinstance(data, DataLoader) else data
        check_map_style(self.dataset)
        first = next(iter(LoaderBatches(self._in_order(1, 0))))
        _, channels, height, width = first.images.shape
        #: Channels, height and width of each image.
        self.image_shape: tuple[int, int, int] = (channels, height, width)
        labels = labels_of(self.dataset)
        if labels is None or int(labels[0]) != int(first.labels[0]):
            workers = self.loader.num_workers if self.loader is not None else 0
            batches = LoaderBatches(self._in_order(256, workers))
            labels = torch.cat([batch.labels for batch in batches])
        self.labels: Tensor = labels
        #: The same: which of them are wrong is not known.
        self.true_labels: Tensor = labels
        self.classes = _class_names(self.dataset, classes, labels)
        check_labels(type(self.dataset).__name__, labels, self.classes, 0, every_class)
        #: Whether the images are floats, which are used as they are; None: a loader's own
        #: ``collate_fn`` decides.
        self.are_floats = _are_floats(self.loader, self.dataset)
        #: The labels that items bring, where :attr:`labels` are other numbers of the same classes.
        self._item_labels = labels
        self.names = names_of(self.dataset)

    @property
    def own_batch_size(self) -> int | None:
        """Images a training batch, where a user's loader decides; else None."""
        return None if self.loader is None else LoaderBatches(self.loader).batch_size

    @property
    def num_images(self) -> int:
        """Number of images n."""
        return len(self.labels)

    @property
    def num_classes(self) -> int:
        """Number of classes K."""
        return len(self.classes)

    @property
    def wrong_labels(self) -> Tensor:
        r"""Boolean :math:`(n)`: none that is known."""
        return torch.zeros_like(self.labels, dtype=torch.bool)

    def __len__(self) -> int:
        return self.num_images

    def batches(
        self,
        batch_size: int,
        device: torch.device | str,
        shuffle: bool = False,
        seed: int = 0,
        views: Sequence[str] = (),
        workers: int = 0,
        augmented: bool = False,
        balanced: bool = False,
    ) -> LoaderBatches:
        """Passes over the images.

        Args:
            batch_size: Images a batch; in training, a user's loader keeps its own.
            device: Where batches are wanted.
            shuffle: Training: in an order drawn with the seed, or that of the user's loader.
            seed: Of order, augmentation and views.
            views: Further views of the images.
            workers: Processes that read items ahead; a user's loader keeps its own.
            augmented: Augment ``uint8`` and Pillow images; floats are used as they are.
            balanced: In training, draw each class equally often; a user's loader has its own draws.

        Raises:
            InputError: The last batch of the user's loader is of one image.
        """
        if self.loader is not None:
            workers = self.loader.num_workers
        if not shuffle:
            loader = self._in_order(batch_size, workers)
        elif self.loader is not None:
            loader = self.loader
            _refuse_single_image(loader)
        else:
            weights = balance_weights(self.labels) if balanced else None
            loader = make_loader(self.dataset, batch_size, True, seed, workers, weights=weights)
        return LoaderBatches(loader, device, views, augmented, seed, self._item_labels)

    def subset(self, indices: Tensor) -> "LoaderData":
        """These images only, in this order, without the user's loader."""
        part = copy.copy(self)
        part.loader = None
        part.dataset = Subset(self.dataset, indices.tolist())
        part.labels, part.true_labels = self.labels[indices], self.true_labels[indices]
        part._item_labels = self._item_labels[indices]
        part.names = [self.names[i] for i in indices.tolist()]
        return part

    def fingerprint(self) -> str:
        """Of which images these are, in which order, and of their labels."""
        shape = (self.num_images, *self.image_shape)
        return fingerprint(shape, self.classes, self.names, self.labels)

    def pixels(self, index: Tensor) -> Tensor:
        r"""These images to look at, ``uint8`` :math:`(N, C, H, W)`.

        Floats are scaled together, from the lowest to the highest value.
        """
        items = [to_image(split_item(self.dataset[i], i)[0], i) for i in index.tolist()]
        images = torch.stack(items)
        if images.dtype == torch.uint8:
            return images
        low, high = images.amin(), images.amax()
        return ((images - low) * (255 / (high - low).clamp(min=1e-12))).round().to(torch.uint8)

    def _in_order(self, batch_size: int, workers: int) -> DataLoader[Any]:
        collate_fn = self.loader.collate_fn if self.loader is not None else None
        return make_loader(self.dataset, batch_size, workers=workers, collate_fn=collate_fn)

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({len(self):,} images of "
            f"{'x'.join(map(str, self.image_shape))}, {self.num_classes} classes)"
        )


def decode_items(
    dataset: Dataset[Any], classes: Sequence[str] | None = None, every_class: bool = True
) -> ImageDataset | None:
    """Every item read once, where all are Pillow images or ``uint8`` of one size.

    Args:
        dataset: Items (image, label).
        classes: Names of the classes; ``dataset.classes`` if not given, else numbers.
        every_class: Whether each class must have an image.

    Returns:
        None if images are floats, if the first items differ from one reading to the next, as a
        transform draws something, or if all together take more than
        :data:`~pyg_agfn.datasets.image_memory.MOST_BYTES`.

    Raises:
        InputError: An item is no (image, label), or of another size than the first.
        OutOfMemoryError: There is not the memory.
    """
    check_map_style(dataset)
    items: Any = dataset
    count = len(items)
    first = to_image(split_item(items[0], 0)[0], 0)
    if first.dtype != torch.uint8 or count * first.numel() > MOST_BYTES:
        return None
    channels = len(first)

    def read(index: int) -> tuple[Tensor, int]:
        image, label = split_item(items[index], index)
        pixels = to_image(image, index, channels if channels == 3 else None)
        return pixels, to_label(label, index)

    for i in range(min(PROBED, count)):
        if not torch.equal(read(i)[0], read(i)[0]):
            return None
    try:
        images = np.empty((count, *first.shape), np.uint8)
    except MemoryError:
        raise OutOfMemoryError(
            f"{type(dataset).__name__}: its images take {count * first.numel() >> 20} MiB of memory"
        ) from None
    labels = []
    for i in range(count):
        pixels, label = read(i)
        same_kind(pixels, i, first, 0)
        images[i] = pixels.numpy()
        labels.append(label)
    names = _class_names(dataset, classes, torch.tensor(labels))
    return ImageDataset(images, labels, names, names_of(dataset), every_class=every_class)


def _are_floats(loader: DataLoader[Any] | None, dataset: Any) -> bool | None:
    if loader is not None and loader.collate_fn is not default_collate:
        return None
    return to_image(split_item(dataset[0], 0)[0], 0).is_floating_point()


def _class_names(dataset: object, given: Sequence[str] | None, labels: Tensor) -> tuple[str, ...]:
    found = given if given is not None else classes_of(dataset)
    return tuple(found) if found is not None else tuple(map(str, range(int(labels.max()) + 1)))


def _refuse_single_image(loader: DataLoader[Any]) -> None:
    """Batch normalization cannot train on one image; said before the first step, not at the last.

    Raises:
        InputError: The loader's last batch would be of one image.
    """
    sampler = loader.batch_sampler
    if isinstance(sampler, BatchSampler) and not sampler.drop_last:
        count = len(sampler.sampler)  # type: ignore[arg-type]
        if sampler.batch_size == 1 or count % sampler.batch_size == 1:
            raise InputError(
                f"DataLoader: its last batch has one image of {count}, and batch normalization "
                "needs two: give it drop_last=True or another batch_size"
            )
