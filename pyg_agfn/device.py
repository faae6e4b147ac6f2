"""The device that an option names."""

import torch

from pyg_agfn.errors import InputError


def check_device(name: str) -> tuple[str, int | None]:
    """The kind and index of a device: ``auto``, ``cpu``, ``cuda``, ``cuda:1`` or ``mps``.

    Raises:
        InputError: The device is unknown or does not exist here.
    """
    kind, _, index = name.partition(":")
    available = _available()
    if kind not in available or (index and not (index.isascii() and index.isdecimal())):
        raise InputError(f"--device {name}: choose auto, cpu, cuda, cuda:N or mps")
    count = torch.cuda.device_count() if kind == "cuda" else 1
    if not available[kind] or len(index) > 4 or int(index or 0) >= count:
        raise InputError(
            f"--device {name}: there is no such device here; --device auto takes the best"
        )
    return kind, int(index) if index else None


def find_device(name: str) -> torch.device:
    """The device that an option names, for work in one process; ``auto`` is the fastest.

    Raises:
        InputError: As in :func:`check_device`.
    """
    kind, index = check_device(name)
    if kind == "auto":
        kind = next(kind for kind in ("cuda", "mps", "cpu") if _available()[kind])
    return torch.device(kind) if index is None else torch.device(kind, index)


def _available() -> dict[str, bool]:
    """Whether each kind of device can be used here."""
    return {
        "auto": True,
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
