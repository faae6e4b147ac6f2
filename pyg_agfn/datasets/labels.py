"""What the labels of every data set have to be, and what tells one data set from another."""

import hashlib
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from pyg_agfn.errors import InputError


def check_labels(
    name: str,
    labels: Tensor,
    classes: Sequence[str],
    num_skipped: int = 0,
    every_class: bool = True,
) -> None:
    """Refuses labels that are no class, and classes that no label names.

    Args:
        name: What the data set is called in messages.
        labels: Of each image.
        classes: Names of the K classes.
        num_skipped: Bad images that are left out.
        every_class: Whether each class must have an image, as in training. Images that are only
            measured may lack some.

    Raises:
        InputError: A label is not 0 to K - 1, or a class has no image.
    """
    found = labels.tolist() or [0]
    if min(found) < 0 or max(found) >= len(classes):
        raise InputError(
            f"{name}: labels must be 0 to {len(classes) - 1}, got {min(found)} to {max(found)}"
        )
    counts = torch.bincount(labels, minlength=len(classes))
    missing = [name for name, count in zip(classes, counts, strict=True) if not count]
    if missing and every_class:
        without = f" ({num_skipped} bad ones are left out)" if num_skipped else ""
        raise InputError(
            f"{name}: no image of class {', '.join(missing)} among "
            f"{len(labels)}{without}; every class needs at least one"
        )


def as_soft_labels(name: str, given: Any, num_images: int, num_classes: int) -> Tensor:
    """Distributions of the classes as ``float32`` (n, K).

    Args:
        name: What the data set is called in messages.
        given: Numbers, a row for each image and a column for each class.
        num_images: Number of images n.
        num_classes: Number of classes K.

    Raises:
        InputError: They are of another shape, a value is below 0, or a row does not sum to 1.
    """
    try:
        found = torch.as_tensor(given, dtype=torch.float32)
    except (TypeError, ValueError, RuntimeError):
        found = torch.zeros(0)
    if found.shape != (num_images, num_classes):
        raise InputError(
            f"{name}: soft labels must be numbers of shape ({num_images}, {num_classes}), a row "
            "for each image and a column for each class"
        )
    good = (found >= 0).all(1) & ((found.sum(1) - 1).abs() < 1e-4)  # NaN is none of both
    if not good.all():
        row = int((~good).nonzero()[0])
        raise InputError(
            f"{name}: soft labels of image {row} must be at least 0 and sum to 1, got "
            f"{found[row].tolist()[:20]}"
        )
    return found


def fingerprint(
    shape: Sequence[int],
    classes: Sequence[str],
    names: Sequence[str],
    labels: Tensor,
    soft_labels: Tensor | None = None,
) -> str:
    """Of which images a data set has, in which order, and of their labels.

    Args:
        shape: :math:`(n, C, H, W)`.
        classes: Names of the classes.
        names: Of the images.
        labels: Of the images, as given.
        soft_labels: Their distributions, if there are any.
    """
    digest = hashlib.sha256(repr((tuple(shape), tuple(classes))).encode())
    digest.update("\0".join(names).encode("utf-8", "surrogateescape"))
    digest.update(labels.numpy().tobytes())
    if soft_labels is not None:
        digest.update(soft_labels.numpy().tobytes())
    return digest.hexdigest()
