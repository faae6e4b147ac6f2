"""The files of a run folder: checked before they are loaded, written completely or not at all.

Nothing is unpickled. A folder may come from an untrusted source. So each file must be a regular
file within the size limit of its kind, and its header is checked before a tensor is read.
"""

import json
import os
import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, cast

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor

from pyg_agfn.errors import InputError, as_path, printable

#: Most bytes of a JSON file. In memory it takes up to about 25 times as many.
JSON_LIMIT = 1 << 20
#: Most bytes of the header of a file of tensors.
HEADER_LIMIT = 8 << 20
#: The names that safetensors has for the types that are written here.
TYPES = {torch.float32: "F32", torch.float64: "F64", torch.int64: "I64", torch.uint8: "U8"}


class TensorSpec(NamedTuple):
    """The type of a tensor, by its name in safetensors, and its shape."""

    dtype: str
    shape: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.dtype} of shape {list(self.shape)}"


def spec_of(tensor: Tensor) -> TensorSpec:
    """The type and shape of a tensor."""
    return TensorSpec(TYPES.get(tensor.dtype, str(tensor.dtype)), tuple(tensor.shape))


def read_json(path: Path, limit: int = JSON_LIMIT) -> dict[str, Any]:
    """The object in a JSON file.

    Raises:
        InputError: It is missing, no regular file, larger than the limit, or no JSON object.
    """
    path = as_path(path, "path")
    try:
        size = check_file(path)
        if size > limit:
            raise ValueError(f"{size:,} bytes, where {limit:,} are the most")
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file") from None
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: cannot be read as JSON ({error})") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: must be a JSON object")
    return cast(dict[str, Any], content)


def check_file(path: Path) -> int:
    """The size of a file, which must be a regular one.

    Opening a pipe or a device could wait, or read without end.

    Raises:
        OSError: The file does not exist.
        ValueError: It is not a regular file.
    """
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise ValueError("is no file")
    return status.st_size


def read_header(path: Path) -> dict[str, TensorSpec]:
    """Types and shapes by name, from the header of a file of tensors.

    Raises:
        InputError: The file is missing or broken.
    """
    try:
        check_header(path)
        with safe_open(path, framework="pt") as file:
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
            return {
                name: TensorSpec(part.get_dtype(), tuple(part.get_shape()))
                for name, part in slices.items()
            }
    except (SafetensorError, OSError, ValueError) as error:
        raise tensor_file_error(path, error) from None


def check_header(path: Path) -> None:
    """Raises ValueError or OSError if it is no regular file, or if its header is too long."""
    size = check_file(path)
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
    if length > min(size, HEADER_LIMIT):
        raise ValueError(f"its header claims {length:,} bytes")


def read_tensors(path: Path, expected: dict[str, TensorSpec]) -> dict[str, Tensor]:
    """The expected tensors; the header must say that the file holds exactly these.

    Raises:
        InputError: The file is missing or broken, holds other tensors, or one is not finite.
    """
    found = read_header(path)
    for name in sorted(expected.keys() | found.keys()):
        if name not in found:
            raise InputError(f"{path}: {name} is missing")
        if name not in expected:
            raise InputError(f"{path}: {printable(name, 100)} does not belong to this model")
        if found[name].shape != expected[name].shape:
            raise InputError(
                f"{path}: {name} is of shape {list(found[name].shape)} where the model has "
                f"{list(expected[name].shape)}"
            )
        if found[name].dtype != expected[name].dtype:
            raise InputError(
                f"{path}: {name} is of type {found[name].dtype} where the model has "
                f"{expected[name].dtype}"
            )
    tensors = load_file(path)
    for name, tensor in tensors.items():
        if not bool(tensor.isfinite().all()):
            raise InputError(f"{path}: {name} is not finite")
    return tensors


def refuse_links(paths: Iterable[Path]) -> None:
    """Refuses links in a run folder before it is written to; they would be written through.

    Raises:
        InputError: One of them is a symbolic link.
    """
    for path in paths:
        if path.is_symlink():
            raise InputError(f"{path}: is a link, and would be written through; remove it")


def write_tensors(
    path: Path, tensors: dict[str, Tensor], metadata: dict[str, str] | None = None
) -> None:
    """Writes a file of tensors, completely or not at all.

    Raises:
        InputError: It cannot be written.
    """
    content = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    _write(path, save(content, metadata))


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Writes a JSON file, completely or not at all.

    Raises:
        InputError: It cannot be written.
    """
    text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    # A file name that is not UTF-8 has half surrogate pairs, which JSON can escape.
    _write(path, text.encode("utf-8", "backslashreplace"))


def _write(path: Path, content: bytes) -> None:
    partial = path.with_name(path.name + ".partial")
    try:
        partial.unlink(missing_ok=True)  # left by a process that died
        with partial.open("xb") as file:  # x: does not follow a link
            file.write(content)
            file.flush()
            os.fsync(file.fileno())  # the content must be on the disk before the name
        os.replace(partial, path)
    except OSError as error:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise InputError(f"{path}: cannot be written ({error.strerror})") from None


def tensor_file_error(path: Path, error: Exception) -> InputError:
    """The error for a file of tensors that cannot be read."""
    if isinstance(error, FileNotFoundError):
        return InputError(f"{path}: there is no such file; the run is not complete")
    return InputError(f"{path}: cannot be read ({error})")
