"""Items of any map-style data set, and what it says of them: images, labels, classes, names."""

import numbers
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import IterableDataset, Subset

from pyg_agfn.datasets.image_pixels import UnreadableImageError, fit_image, is_grey
from pyg_agfn.errors import InputError, printable


def check_map_style(dataset: object) -> None:
    """Refuses what has no images that can be asked for by number.

    Raises:
        InputError: An iterable data set, something else, or a data set of no image.
    """
    if isinstance(dataset, IterableDataset):
        raise InputError(
            f"{type(dataset).__name__}: an IterableDataset gives no image by its number; give a "
            "map-style Dataset, with __len__ and __getitem__"
        )
    other = isinstance(dataset, Tensor | np.ndarray | str | bytes | dict | type)
    if other or not (hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__")):
        raise InputError(
            "training data must be an ImageDataset, a map-style Dataset of (image, label) or a "
            f"DataLoader over one, got {type(dataset).__name__}"
        )
    if len(dataset) == 0:
        raise InputError(f"{type(dataset).__name__}: has no image")


def split_item(item: object, index: int) -> tuple[object, object]:
    """Image and label of an item.

    Raises:
        InputError: It is no such pair.
    """
    if not isinstance(item, tuple | list) or len(item) != 2:
        what = type(item).__name__
        what += f" of {len(item)}" if isinstance(item, tuple | list) else ""
        raise InputError(f"item {index}: must be (image, label), got a {what}")
    return item[0], item[1]


def to_image(image: object, index: int, channels: int | None = None) -> Tensor:
    r"""An image as a tensor, ``uint8`` of 0 to 255 or ``float32`` as it is.

    Args:
        image: A tensor :math:`(C, H, W)` or :math:`(H, W)`; an array of the same, or with its
            channels last; or a Pillow image, which is turned as its EXIF block says.
        index: Which item it is of, in messages.
        channels: 3 makes a grey Pillow image RGB; else it has one channel.

    Shapes:
        - **output:** :math:`(C, H, W)`

    Raises:
        InputError: It is none of these, or cannot be decoded.
    """
    if isinstance(image, Image.Image):
        try:
            pixels = fit_image(image, None, channels or (1 if is_grey(image.mode) else 3))
        except (UnreadableImageError, OSError, SyntaxError, ValueError) as error:
            raise InputError(f"item {index}: image cannot be decoded ({error})") from None
        return torch.from_numpy(pixels.copy())
    if isinstance(image, np.ndarray):
        array = image.transpose(2, 0, 1) if image.ndim == 3 and image.shape[2] in (1, 3) else image
        if array.dtype.kind != "f" and array.dtype != np.uint8:
            raise InputError(_wrong_image(f"an array of {array.dtype}", index))
        kind = np.float32 if array.dtype.kind == "f" else np.uint8
        image = torch.from_numpy(np.array(array, kind, order="C"))  # writable, not reversed
    if not isinstance(image, Tensor):
        raise InputError(_wrong_image(f"a {type(image).__name__}", index))
    if image.dtype != torch.uint8:
        if not image.is_floating_point():
            raise InputError(_wrong_image(f"a tensor of {image.dtype}", index))
        image = image.float()
    if image.dim() == 2:
        image = image.unsqueeze(0)
    if image.dim() != 3 or not image.numel():
        raise InputError(_wrong_image(f"one of shape {tuple(image.shape)}", index))
    return image


def _wrong_image(what: str, index: int) -> str:
    return (
        f"item {index}: image must be a Pillow image, or a tensor or array (C, H, W) of uint8 or "
        f"floats, got {what}"
    )


def to_label(label: object, index: int) -> int:
    """A label as a number.

    Raises:
        InputError: It is no whole number, or negative.
    """
    if isinstance(label, Tensor | np.ndarray) and label.ndim == 0:
        label = label.item()
    if not isinstance(label, numbers.Integral) or isinstance(label, bool):
        shown = printable(repr(label), 80)
        raise InputError(
            f"item {index}: label must be the number of a class, a whole number, got {shown}"
        )
    if label < 0:
        raise InputError(f"item {index}: label must be 0 or more, got {label}")
    return int(label)


def same_kind(image: Tensor, index: int, first: Tensor, first_index: int) -> None:
    """Refuses an image of another shape or type than the first one.

    Raises:
        InputError: Both are named.
    """
    if image.shape != first.shape or image.dtype != first.dtype:
        kinds = [
            f"{'x'.join(map(str, i.shape))} of {str(i.dtype).removeprefix('torch.')}"
            for i in (image, first)
        ]
        raise InputError(
            f"item {index}: image is {kinds[0]}, where item {first_index} is {kinds[1]}; bring all "
            "images to one size and kind"
        )


def classes_of(dataset: object) -> list[str] | None:
    """The names in ``dataset.classes``; None without it. A Subset has those of what it is of."""
    while isinstance(dataset, Subset):
        dataset = dataset.dataset
    classes = getattr(dataset, "classes", None)
    return [str(name) for name in classes] if isinstance(classes, Sequence) else None


def labels_of(dataset: object) -> Tensor | None:
    """``dataset.targets`` or ``.labels``, if there is one whole number for each item."""
    if isinstance(dataset, Subset):
        labels = labels_of(dataset.dataset)
        return None if labels is None else labels[torch.as_tensor(dataset.indices)]
    if getattr(dataset, "target_transform", None) is not None:  # the items have other labels
        return None
    for name in ("targets", "labels"):
        values = getattr(dataset, name, None)
        if not isinstance(values, Sequence | np.ndarray | Tensor):
            continue
        try:
            labels = torch.as_tensor(values)
        except (TypeError, ValueError, RuntimeError):
            continue
        whole = not labels.is_floating_point() and labels.dtype != torch.bool
        if labels.dim() == 1 and whole and len(labels) == _length(dataset):
            return labels.to("cpu", torch.long)
    return None


def names_of(dataset: object) -> list[str]:
    """What each item is called: the path in ``dataset.samples``, below ``.root``, or its number."""
    if isinstance(dataset, Subset):
        every = names_of(dataset.dataset)
        return [every[i] for i in dataset.indices]
    samples: Any = getattr(dataset, "samples", None)
    n = _length(dataset)
    if isinstance(samples, Sequence) and len(samples) == n:
        paths = [s[0] if isinstance(s, tuple | list) and s else s for s in samples]
        if all(isinstance(path, str | os.PathLike) for path in paths):
            root = getattr(dataset, "root", None)
            below = os.path.join(os.fspath(root), "") if isinstance(root, str | os.PathLike) else ""
            return [os.fspath(path).removeprefix(below) for path in paths]
    return [str(i) for i in range(n)]


def _length(dataset: Any) -> int:
    return len(dataset)
