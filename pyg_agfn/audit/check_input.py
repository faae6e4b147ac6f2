"""What an audit is given, checked before anything is computed."""

from collections.abc import Sequence

import torch
from torch import Tensor

from pyg_agfn.errors import InputError


def check_features(features: Tensor) -> None:
    """Refuses what is no matrix of finite floats.

    Raises:
        InputError: It is something else; the line names the image.
    """
    if not isinstance(features, Tensor):
        raise InputError(f"features must be a tensor, got {type(features).__name__}")
    if features.dim() != 2 or not features.is_floating_point() or not features.size(1):
        found = f"{features.dtype} of shape {tuple(features.shape)}"
        raise InputError(f"features must be floats of shape (N, F), got {found}")
    bad = ~features.detach().isfinite().all(1)
    if bad.any():
        raise InputError(f"features of image {int(bad.int().argmax())} are not finite")


def texts(kind: str, given: Sequence[str] | None, count: int, of_what: str) -> list[str]:
    """Names as they are given, or numbers where there are none.

    Raises:
        InputError: There is another number of names.
    """
    if given is None:
        return [str(i) for i in range(count)]
    if isinstance(given, str) or len(given) != count:
        raise InputError(f"{kind} must be {count:,} texts, one for each of the {of_what}")
    return [str(name) for name in given]


def check_share(share: float) -> None:
    """Refuses what is no share.

    Raises:
        InputError: It is no number from 0 to 1.
    """
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share <= 1:
        raise InputError(f"share must be a number from 0 to 1, got {share!r}")


def as_tensor(values: object) -> Tensor:
    """An array or a tensor, as a tensor on the CPU without a gradient."""
    return torch.as_tensor(values).detach().cpu()


def check_each_probability(values: Tensor, count: int) -> Tensor:
    """Refuses what is not one probability, or NaN for an unknown one, for each image.

    Raises:
        InputError: It is something else; the line names the image.
    """
    if values.shape != (count,) or not values.is_floating_point():
        found = f"{values.dtype} of shape {tuple(values.shape)}"
        raise InputError(f"epoch_probability must be floats of shape ({count},), got {found}")
    bad = ~(values.isnan() | ((values >= 0) & (values <= 1.001)))
    if bad.any():
        row = int(bad.int().argmax())
        raise InputError(f"epoch_probability must be 0 to 1, got {values[row]:.6g} of image {row}")
    return values
