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

from pyg_agfn.choices import NoiseKind
from pyg_agfn.datasets.bad_data import BadData, BadItem
from pyg_agfn.datasets.batches import Batches
from pyg_agfn.datasets.image_pixels import UNKNOWN_WHITE
from pyg_agfn.datasets.label_list import LabelList, read_noise_file
from pyg_agfn.datasets.label_notation import Notation
from pyg_agfn.datasets.labels import as_soft_labels, check_labels, fingerprint
from pyg_agfn.datasets.noise import make_noise
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
        soft_labels: Distributions of the classes, :math:`(n, K)`, such as those of several raters.
            Training learns these in the place of the labels, if there are any.

    Raises:
        InputError: There is no image, or a class without one; not one label and name for each
            image, a label that is no class, or soft labels that are no distributions.
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
        soft_labels: Sequence[Sequence[float]] | np.ndarray[Any, Any] | Tensor | None = None,
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
        #: What training learns in the place of the labels, ``float32`` (n, K), if not None.
        self.soft_labels: Tensor | None = None
        if soft_labels is not None:
            self.soft_labels = as_soft_labels(name, soft_labels, len(self), self.num_classes)

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
        shape = self.images.shape
        return fingerprint(shape, self.classes, self.names, self.labels, self.soft_labels)

    def pixels(self, index: Tensor) -> Tensor:
        r"""These images as they are stored, ``uint8`` :math:`(N, C, H, W)`."""
        return self.images[index]

    def subset(self, indices: Tensor) -> "ImageDataset":
        """These images only, in this order, copied into memory."""
        part = copy.copy(self)
        part.images = self.images[indices]
        part.labels, part.true_labels = self.labels[indices], self.true_labels[indices]
        if self.soft_labels is not None:
            part.soft_labels = self.soft_labels[indices]
        part.names = [self.names[i] for i in indices.tolist()]
        kept = set(part.names)
        part.set_aside = [*self.set_aside, *(name for name in self.names if name not in kept)]
        return part

    def with_noise(self, ratio: float, seed: int, kind: NoiseKind = "symmetric") -> "ImageDataset":
        """The same images with a share of the labels made wrong (:mod:`pyg_agfn.datasets.noise`).

        Args:
            ratio: The share of wrong labels, 0 to 1; with ``"instance"`` its mean, about.
            seed: Of the draws.
            kind: ``"symmetric"``: by any other class; ``"pair"``: by the next class;
                ``"instance"``: by what the image looks like.

        Raises:
            InputError: The images have soft labels, or an argument is out of its range.
        """
        self._refuse_soft_labels()
        noisy = copy.copy(self)
        noisy.labels = make_noise(
            kind, self.true_labels, ratio, self.num_classes, seed, self.images
        )
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

        Raises:
            InputError: The images have soft labels, or as :func:`read_noise_file`.
        """
        self._refuse_soft_labels()
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

    def _refuse_soft_labels(self) -> None:
        if self.soft_labels is not None:
            raise InputError(
                f"{type(self).__name__}: labels that are made wrong contradict its soft labels, "
                "which are learned in their place: read it without these (targets='labels')"
            )

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
