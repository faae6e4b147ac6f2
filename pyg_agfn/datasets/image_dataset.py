"""Labelled images of one size: one uint8 array, and labels that may be wrong."""

import copy
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from pyg_agfn.datasets.bad_data import BadData, BadItem
from pyg_agfn.datasets.batches import Batches
from pyg_agfn.datasets.image_pixels import UNKNOWN_WHITE
from pyg_agfn.datasets.label_list import LabelList, read_noise_file
from pyg_agfn.datasets.label_notation import Notation
from pyg_agfn.datasets.labels import check_labels, fingerprint
from pyg_agfn.datasets.noise import inject_label_noise
from pyg_agfn.errors import InputError


class ImageDataset(Dataset[tuple[Tensor, int]]):
    r"""Images, the labels that training sees, and the true ones.

    Args:
        images: ``uint8`` of shape :math:`(n, C, H, W)`; a memory map is not read until it is used.
        labels: Class of each image, 0 to K - 1.
        classes: Names of the K classes.
        names: What each image is called in lists and reports: its path below the root.
        skipped: Rows and images that were bad, and are left out.
        set_aside: Names of other images of the data set: of another part, without a label, or bad.
            Lists may name them.
        every_class: Whether each class must have an image; images to measure on may lack some.

    Raises:
        InputError: There is no image, or a class without one; not one label and name for each
            image, or a label that is no class.
    """

    #: Whose the true labels are, in messages.
    label_origin = "the data set's"
    #: Whether the images are made by transforms of the user's own.
    own_transforms = False
    #: Whether the images are floats, which are used as they are.
    are_floats = False
    #: Lines about the images that the user should read before they are used.
    notes: Sequence[str] = ()
    #: What is white in those of more than 8 bits; new images are to be read by the same.
    white = UNKNOWN_WHITE

    def __init__(
        self,
        images: np.ndarray[Any, np.dtype[np.uint8]],
        labels: Sequence[int] | np.ndarray[Any, Any],
        classes: Sequence[str],
        names: Sequence[str],
        skipped: Sequence[BadItem] = (),
        set_aside: Sequence[str] = (),
        every_class: bool = True,
    ) -> None:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="The given NumPy array is not writ")
            self.images = torch.from_numpy(images)
        self.labels = torch.as_tensor(np.asarray(labels, dtype=np.int64))
        self.true_labels = self.labels
        self.classes = tuple(classes)
        self.names = list(names)
        self.skipped = list(skipped)
        self.set_aside = list(set_aside)
        #: The list that the labels are from, if they are from one.
        self.label_list: LabelList | None = None
        if not len(self.images) == len(self.labels) == len(self.names):
            raise InputError(
                f"{type(self).__name__}: {len(self.images)} images with {len(self.labels)} labels "
                f"and {len(self.names)} names; each image needs one of both"
            )
        name, num_skipped = type(self).__name__, len(self.skipped)
        check_labels(name, self.labels, self.classes, num_skipped, every_class)

    @property
    def num_classes(self) -> int:
        """Number of classes K."""
        return len(self.classes)

    @property
    def num_images(self) -> int:
        """Number of images n."""
        return len(self.names)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of each image."""
        _, channels, height, width = self.images.shape
        return channels, height, width

    @property
    def wrong_labels(self) -> Tensor:
        r"""Boolean :math:`(n)`: where the label differs from the true one."""
        return self.labels != self.true_labels

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.images[index], int(self.labels[index])

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
    ) -> Batches:
        """Passes over the images; see :class:`~pyg_agfn.datasets.batches.Batches`."""
        return Batches(self, batch_size, device, shuffle, augmented, seed, views, workers, balanced)

    def fingerprint(self) -> str:
        """Of which images these are, in which order, and of their labels."""
        return fingerprint(self.images.shape, self.classes, self.names, self.labels)

    def pixels(self, index: Tensor) -> Tensor:
        r"""These images as they are stored, ``uint8`` :math:`(N, C, H, W)`."""
        return self.images[index]

    def subset(self, indices: Tensor) -> "ImageDataset":
        """These images only, in this order, copied into memory."""
        part = copy.copy(self)
        part.images = self.images[indices]
        part.labels, part.true_labels = self.labels[indices], self.true_labels[indices]
        part.names = [self.names[i] for i in indices.tolist()]
        kept = set(part.names)
        part.set_aside = [*self.set_aside, *(name for name in self.names if name not in kept)]
        return part

    def with_noise(self, ratio: float, seed: int) -> "ImageDataset":
        """The same images with a share of the labels made wrong (:func:`inject_label_noise`)."""
        noisy = copy.copy(self)
        noisy.labels = inject_label_noise(self.true_labels, ratio, self.num_classes, seed)
        return noisy

    def with_noise_file(
        self,
        path: Path,
        skip_bad: bool = False,
        notation: Notation = "auto",
        set_aside: Sequence[str] = (),
    ) -> "ImageDataset":
        """The same images, labelled by a list instead (:func:`read_noise_file`).

        Args:
            path: The list.
            skip_bad: Leave out bad rows, and keep them in ``skipped``.
            notation: How the list writes labels.
            set_aside: Names of other images of the data set, such as the test part's.
        """
        bad = BadData(skip_bad)
        others = [*self.set_aside, *set_aside]
        labels = self.true_labels.tolist()
        found = read_noise_file(path, self.names, self.classes, labels, others, notation, bad)
        noisy = copy.copy(self)
        noisy.skipped = [*self.skipped, *bad.items]
        noisy.label_list = found
        noisy.labels = self.true_labels.clone()
        noisy.labels[list(found.labels)] = torch.tensor(list(found.labels.values()))
        return noisy

    def describe_label_list(self) -> str | None:
        """What the list of labels changed, in one line; None if the labels are from no list."""
        if self.label_list is None:
            return None
        unlisted = len(self) - len(self.label_list.labels)
        return self.label_list.describe(int(self.wrong_labels.sum()), unlisted, self.label_origin)

    def __repr__(self) -> str:
        _, channels, height, width = self.images.shape
        wrong = int(self.wrong_labels.sum())
        return (
            f"{type(self).__name__}({len(self):,} images of {channels}x{height}x{width}, "
            f"{self.num_classes} classes, {wrong:,} wrong labels)"
        )
