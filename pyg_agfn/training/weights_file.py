"""Weights in files of other projects: read without running code, and no more than is needed."""

import json
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from pyg_agfn.choices import Interpolation
from pyg_agfn.errors import InputError, printable
from pyg_agfn.nn.input_normalization import InputConvention
from pyg_agfn.runs.files import check_header
from pyg_agfn.runs.json_files import check_file

#: Endings of pickled files, which torch reads with ``weights_only``.
PICKLED = (".pth", ".pt", ".ckpt")
#: Under which names a checkpoint has its state dict.
STATE_DICTS = ("state_dict", "model_state_dict", "model", "net")
#: A pickled file is read whole. It may hold a classifier of many identities, and with the weights
#: an optimizer's two moments, or doubles: so many bytes, and so many times the backbone's.
CLASSIFIER_BYTES, TIMES = 1 << 30, 8

#: Of weights that say nothing of their images.
NOT_SAID = InputConvention()


@dataclass(frozen=True)
class StoredWeights:
    """Weights that are not read yet, or not all of them.

    Attributes:
        name: What they are called in a message.
        shapes: Of each tensor.
        read: Reads one tensor.
        convention: What they expect of images.
    """

    name: str
    shapes: Mapping[str, tuple[int, ...]]
    read: Callable[[str], Tensor]
    convention: InputConvention = NOT_SAID


def weights_of(
    name: str, tensors: Mapping[str, Tensor], convention: InputConvention = NOT_SAID
) -> StoredWeights:
    """Weights that are in memory."""
    shapes = {key: tuple(tensor.shape) for key, tensor in tensors.items()}
    return StoredWeights(name, shapes, tensors.__getitem__, convention)


def open_weights_file(path: Path, backbone_bytes: int) -> StoredWeights:
    """Weights in a file.

    Of safetensors the header is read, and later the tensors that are wanted. A pickled file is read
    by ``torch.load(weights_only=True)``, which runs no code; it holds a state dict, plain or under
    one of :data:`STATE_DICTS`.

    Args:
        path: A ``.safetensors``, or one of :data:`PICKLED`.
        backbone_bytes: Size of the backbone that they are for, which bounds that of a pickled file.

    Raises:
        InputError: There is no such file, it is a pipe or a device, too large, broken, or holds no
            state dict.
    """
    name = f"--weights {path}"
    try:
        size = check_file(path)
        if path.suffix == ".safetensors":
            return _open_safetensors(name, path)
        if path.suffix not in PICKLED:
            endings = ", ".join((".safetensors", *PICKLED))
            raise InputError(f"{name}: must end in {endings}, or be 'default'")
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                size = max(size, sum(part.file_size for part in archive.infolist()))
        if size > (limit := CLASSIFIER_BYTES + TIMES * backbone_bytes):
            raise InputError(
                f"{name}: has {size:,} bytes, where {limit:,} are the most for this backbone; save "
                "its state dict alone, or as safetensors"
            )
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise InputError(f"{name}: there is no such file") from None
    except (InputError, MemoryError):
        raise
    except Exception as error:  # whatever a broken file makes its reader raise
        raise InputError(f"{name}: {_reason(error)}") from None
    return weights_of(name, _state_dict(name, content))


def _open_safetensors(name: str, path: Path) -> StoredWeights:
    check_header(path)
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata() or {}
        slices = {key: file.get_slice(key) for key in file.keys()}  # noqa: SIM118
        shapes = {key: tuple(part.get_shape()) for key, part in slices.items()}

    def read(key: str) -> Tensor:
        try:
            with safe_open(path, framework="pt") as file:
                tensor: Tensor = file.get_tensor(key)
                return tensor
        except (OSError, SafetensorError) as error:
            raise InputError(f"{name}: {_reason(error)}") from None

    return StoredWeights(name, shapes, read, _convention_of(name, metadata))


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split())
    if "weights_only" in text or "Weights only" in text:
        return (
            "holds Python objects other than tensors, which are not loaded; save its state dict "
            "alone, torch.save(model.state_dict(), FILE), or as safetensors"
        )
    return f"cannot be read ({type(error).__name__}: {printable(text, 200)})"


def _state_dict(name: str, content: Any) -> dict[str, Tensor]:
    """The tensors of a checkpoint, by their names."""
    for _ in range(3):
        inner = [
            content[key] for key in STATE_DICTS if isinstance(content, dict) and key in content
        ]
        inner = [part for part in inner if isinstance(part, dict)]
        if not inner:
            break
        content = inner[0]
    tensors = (
        {key: value for key, value in content.items() if isinstance(value, Tensor)}
        if isinstance(content, dict)
        else {}
    )
    if not tensors or not all(isinstance(key, str) for key in tensors):
        raise InputError(
            f"{name}: holds no state dict, plain or under {', '.join(STATE_DICTS)}; save it by "
            "torch.save(model.state_dict(), FILE)"
        )
    return tensors


def _convention_of(name: str, metadata: Mapping[str, str]) -> InputConvention:
    """What the metadata of a safetensors file say of images: all or a part of a convention.

    The names are ``mean``, ``std``, ``range``, ``order``, ``channels``, ``side`` and
    ``interpolation``, or the same with ``input_`` before them; ``input_size`` is channels, height
    and width. Values are JSON.
    """
    found: dict[str, Any] = {}
    for field in InputConvention._fields:
        text = metadata.get(f"input_{field}", metadata.get(field))
        if text is not None:
            found[field] = _value(text)
    size = _value(metadata.get("input_size", ""))
    if isinstance(size, list) and len(size) == 3:
        found = {"channels": size[0], "side": size[2], **found}
    for field in ("mean", "std"):
        value = found.get(field)
        found[field] = tuple(value) if isinstance(value, list) else value
        if isinstance(value, int | float):
            found[field] = (value,)
    good = {
        "mean": _are_numbers(found["mean"], -1e38),
        "std": _are_numbers(found["std"], 1e-6),
        "range": found.get("range") in (None, 1, 255),
        "order": found.get("order") in (None, "rgb", "bgr"),
        "channels": found.get("channels") in (None, 1, 3),
        "interpolation": found.get("interpolation") in (None, *get_args(Interpolation)),
        "side": found.get("side") is None or isinstance(found["side"], int),
    }
    for field, fits in good.items():
        if not fits:
            shown = printable(repr(found[field]), 80)
            raise InputError(f"{name}: its metadata say that the input's {field} is {shown}")
    return InputConvention(**found)


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _are_numbers(value: object, least: float) -> bool:
    return value is None or (
        isinstance(value, tuple)
        and len(value) in (1, 3)
        and all(type(number) in (int, float) and least <= number < 1e38 for number in value)
    )
