"""The files of a run folder: looked at before memory is taken, written whole or not at all.

Nothing is unpickled. A folder may come from a stranger, so a file has to be a file, of a size that
its kind can have, and what its header says is compared before a tensor is read.
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

#: Most bytes of a JSON file; read, it takes up to some 25 times as many.
JSON_LIMIT = 1 << 20
#: Most bytes of what stands before the tensors in their file.
HEADER_LIMIT = 8 << 20
#: What safetensors calls the types that are written here.
TYPES = {torch.float32: "F32", torch.float64: "F64", torch.int64: "I64", torch.uint8: "U8"}


class TensorSpec(NamedTuple):
    """Type, as safetensors calls it, and shape of a tensor."""

    dtype: str
    shape: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.dtype} of shape {list(self.shape)}"


def spec_of(tensor: Tensor) -> TensorSpec:
    """Type and shape of a tensor."""
    return TensorSpec(TYPES.get(tensor.dtype, str(tensor.dtype)), tuple(tensor.shape))


def read_json(path: Path, limit: int = JSON_LIMIT) -> dict[str, Any]:
    """The object in a JSON file.

    Raises:
        InputError: The file is missing, no file, larger than the limit, or holds no JSON object.
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
    """The size of a regular file; opening a pipe or a device could wait or read for ever.

    Raises:
        OSError: There is none.
        ValueError: It is something else.
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
    """Raises ValueError or OSError where a file of tensors is no file, or its header too long."""
    size = check_file(path)
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
    if length > min(size, HEADER_LIMIT):
        raise ValueError(f"its header claims {length:,} bytes")


def read_tensors(path: Path, expected: dict[str, TensorSpec]) -> dict[str, Tensor]:
    """These tensors, after the header was found to say that the file holds them and no others.

    Raises:
        InputError: The file is missing or broken, or its tensors are others or not finite.
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
    """Asked before a run folder is written to: a link there would be written through.

    Raises:
        InputError: One of them is a symbolic link.
    """
    for path in paths:
        if path.is_symlink():
            raise InputError(f"{path}: is a link, and would be written through; remove it")


def write_tensors(
    path: Path, tensors: dict[str, Tensor], metadata: dict[str, str] | None = None
) -> None:
    """Writes a file of tensors, whole or not at all.

    Raises:
        InputError: It cannot be written.
    """
    content = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    _write(path, save(content, metadata))


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Writes a JSON file, whole or not at all.

    Raises:
        InputError: It cannot be written.
    """
    text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    # A file name that is no UTF-8 has half surrogate pairs, which JSON has an escape for.
    _write(path, text.encode("utf-8", "backslashreplace"))


def _write(path: Path, content: bytes) -> None:
    partial = path.with_name(path.name + ".partial")
    try:
        partial.unlink(missing_ok=True)  # of a process that died
        with partial.open("xb") as file:  # x: through no link
            file.write(content)
            file.flush()
            os.fsync(file.fileno())  # a name must not be on the disk before its content
        os.replace(partial, path)
    except OSError as error:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise InputError(f"{path}: cannot be written ({error.strerror})") from None


def tensor_file_error(path: Path, error: Exception) -> InputError:
    """What to say of a file of tensors that cannot be read."""
    if isinstance(error, FileNotFoundError):
        return InputError(f"{path}: there is no such file; the run is not complete")
    return InputError(f"{path}: cannot be read ({error})")
