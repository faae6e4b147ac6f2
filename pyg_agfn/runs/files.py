"""The files of a run folder: checked before they are loaded, written completely or not at all.

Nothing is unpickled. A folder may come from an untrusted source. So each file must be a regular
file within the size limit of its kind, and its header is checked before a tensor is read.
"""

from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor

from pyg_agfn.errors import InputError, printable
from pyg_agfn.runs.json_files import check_file, write_whole

#: Most bytes of what stands before the tensors in their file.
HEADER_LIMIT = 8 << 20
#: The names that safetensors has for the types that are written here.
TYPES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}


class TensorSpec(NamedTuple):
    """The type of a tensor, by its name in safetensors, and its shape."""

    dtype: str
    shape: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.dtype} of shape {list(self.shape)}"


def spec_of(tensor: Tensor) -> TensorSpec:
    """The type and shape of a tensor."""
    return TensorSpec(TYPES.get(tensor.dtype, str(tensor.dtype)), tuple(tensor.shape))


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


def write_tensors(
    path: Path, tensors: dict[str, Tensor], metadata: dict[str, str] | None = None
) -> None:
    """Writes a file of tensors, completely or not at all.

    Raises:
        InputError: It cannot be written.
    """
    content: dict[str, Tensor] = {}
    memory = set()
    for name, tensor in tensors.items():
        own = tensor.detach().cpu().contiguous()
        if own.untyped_storage().data_ptr() in memory:  # of a layer that a module has twice
            own = own.clone()
        memory.add(own.untyped_storage().data_ptr())
        content[name] = own
    write_whole(path, save(content, metadata))


def tensor_file_error(path: Path, error: Exception) -> InputError:
    """The error for a file of tensors that cannot be read."""
    if isinstance(error, FileNotFoundError):
        return InputError(f"{path}: there is no such file; the run is not complete")
    return InputError(f"{path}: cannot be read ({error})")
