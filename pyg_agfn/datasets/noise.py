"""Wrong labels: made, or read from the lists that the FER literature publishes."""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import torch
from torch import Tensor

from pyg_agfn.datasets.bad_data import BadData
from pyg_agfn.datasets.lists import read_lines
from pyg_agfn.errors import InputError


def inject_label_noise(labels: Tensor, ratio: float, num_classes: int, seed: int) -> Tensor:
    r"""Makes exactly ``round(ratio * n)`` labels wrong, each a uniformly drawn *other* class.

    Args:
        labels (Tensor): True labels, 0 to ``num_classes - 1``. They are left as they are, so that
            ``labels != noisy`` marks the wrong ones.
        ratio (float): Share of labels to make wrong, 0 to 1.
        num_classes (int): Number of classes, at least 2.
        seed (int): Of a generator of its own: the global one is neither read nor moved.

    Shapes:
        - **input, output:** :math:`(n)`, ``int64``

    Raises:
        InputError: A ratio, number of classes or label out of its range.
    """
    labels = torch.as_tensor(labels, dtype=torch.long)
    if not 0 <= ratio <= 1:
        raise InputError(f"noise ratio must be between 0 and 1, got {ratio}")
    if num_classes < 2:
        raise InputError(f"label noise needs at least 2 classes, got {num_classes}")
    if labels.numel() and not 0 <= int(labels.min()) <= int(labels.max()) < num_classes:
        raise InputError(
            f"labels must be 0 to {num_classes - 1}, got {int(labels.min())} to {int(labels.max())}"
        )
    generator = torch.Generator().manual_seed(seed)
    count = round(ratio * labels.numel())
    chosen = torch.randperm(labels.numel(), generator=generator)[:count]
    # A step of 1 to K - 1 around the circle of classes never comes back to the start.
    step = torch.randint(1, num_classes, (count,), generator=generator)
    noisy = labels.clone()
    noisy[chosen] = (labels[chosen] + step) % num_classes
    return noisy


def read_noise_file(
    path: Path,
    names: Sequence[str],
    classes: Sequence[str],
    first_label: int = 0,
    bad: BadData | None = None,
) -> dict[int, int]:
    """Labels from a list file with ``path label`` a line, as the FER literature publishes them.

    A listed path stands for the image of that name, else for the one image of that base name;
    ``train_00001.jpg`` also for ``train_00001_aligned.jpg``. A label is a class's name, or its
    number counted from ``first_label``. Empty lines are passed over, and lines that repeat one.

    Args:
        path: The list.
        names: The images.
        classes: Names of the classes.
        first_label: Number of the first class.
        bad: Gathers bad rows, and says whether to go on without them.

    Returns:
        The label, 0 to K - 1, by the position in ``names``; images that are not listed are not
        in it.

    Raises:
        InputError: The file cannot be read or names no image.
        BadDataError: A row is not ``path label``, or names an unknown class, an image that is not
            in ``names`` or one that has another label further above.
    """
    bad = bad or BadData()
    positions = _positions(names)
    labels: dict[int, int] = {}
    for row, line in read_lines(path):
        name, _, text = line.replace("\t", " ").rpartition(" ")
        name = name.strip().strip('"').removeprefix("./")
        if not name:
            bad.add(f"expected 'path label', got {line[:80]!r}", path, row)
            continue
        position = positions.get(name, positions.get(PurePosixPath(name).name))
        label = _label(text, classes, first_label)
        if position is None:
            bad.add("is not among the training images", path, row, name)
        elif position < 0:
            bad.add("is the name of several training images", path, row, name)
        elif label is None:
            last = first_label + len(classes) - 1
            reason = f"label {text[:80]!r} is neither {first_label} to {last} nor one of "
            bad.add(reason + ", ".join(classes), path, row, name)
        elif labels.setdefault(position, label) != label:
            bad.add("has another label further above", path, row, name)
    bad.settle()
    if not labels:
        raise InputError(f"{path}: names no image; expected 'path label' a line")
    return labels


def _positions(names: Sequence[str]) -> dict[str, int]:
    """Where each name stands: by the whole path, and by the base name where that is one image's."""
    positions: dict[str, int] = {}
    for i, name in enumerate(names):
        path = PurePosixPath(name)
        for short in (path.name, path.name.replace("_aligned", "")):
            positions[short] = i if positions.get(short, i) == i else -1
    positions.update({name: i for i, name in enumerate(names)})
    return positions


def _label(text: str, classes: Sequence[str], first_label: int) -> int | None:
    """The class that a list means by a text, if it is one."""
    if text in classes:
        return classes.index(text)
    if not (text.isascii() and text.isdecimal() and len(text) < 9):
        return None
    label = int(text) - first_label
    return label if 0 <= label < len(classes) else None
