"""What a data set has to be, to be named on the command line."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pyg_agfn.datasets.image_dataset import ImageDataset
from pyg_agfn.registry import DATASETS


@dataclass(frozen=True)
class DatasetReader:
    """How a data set is read, and which options it takes.

    Attributes:
        read: Called as ``read(split, **options)``, with ``root`` and what ``options`` names.
        splits: Images that can be measured on; the first is the default. Training's are ``train``.
        needs_root: Whether it is in files of the user's.
        options: Options of :class:`~pyg_agfn.training.TrainOptions` that it takes: of
            ``image_size``, ``resize``, ``interpolation``, ``cache``, ``skip_bad``, ``label_mode``
            and ``targets``.
        defaults: Its own defaults of training options.
    """

    read: Callable[..., ImageDataset]
    splits: tuple[str, ...] = ("test",)
    needs_root: bool = True
    options: frozenset[str] = frozenset()
    defaults: Mapping[str, Any] = field(default_factory=dict)


def register_dataset(
    name: str,
    *,
    splits: tuple[str, ...] = ("test",),
    needs_root: bool = True,
    options: tuple[str, ...] = ("image_size", "resize", "cache", "skip_bad"),
    defaults: Mapping[str, Any] | None = None,
) -> Callable[[Callable[..., ImageDataset]], Callable[..., ImageDataset]]:
    """A decorator that makes a function a data set; see :class:`DatasetReader`.

    Raises:
        InputError: The name is taken, or is none.

    Example:
        >>> @register_dataset("stripes", needs_root=False, options=())
        ... def read_stripes(split): return ImageDataset(images, labels, classes, names)
    """

    def add(read: Callable[..., ImageDataset]) -> Callable[..., ImageDataset]:
        reader = DatasetReader(read, splits, needs_root, frozenset(options), dict(defaults or {}))
        DATASETS.register(name, module=read.__module__)(reader)
        return read

    return add
