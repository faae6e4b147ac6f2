"""The files of a run folder: looked at before memory is taken, written whole or not at all.

Nothing is unpickled. A folder may come from a stranger, so a file has to be a file, of a size that
its kind can have, and what its header says is compared before a tensor is read.
"""

from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor

from pyg_agfn.errors import InputError, printable
from pyg_agfn.runs.json_files import JSON_LIMIT as JSON_LIMIT
from pyg_agfn.runs.json_files import check_file as check_file
from pyg_agfn.runs.json_files import read_json as read_json
from pyg_agfn.runs.json_files import refuse_links as refuse_links
from pyg_agfn.runs.json_files import write_json as write_json
from pyg_agfn.runs.json_files import write_whole as write_whole

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


def write_tensors(
    path: Path, tensors: dict[str, Tensor], metadata: dict[str, str] | None = None
) -> None:
    """Writes a file of tensors, whole or not at all.

    Raises:
        InputError: It cannot be written.
    """
    content = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_whole(path, save(content, metadata))


def tensor_file_error(path: Path, error: Exception) -> InputError:
    """What to say of a file of tensors that cannot be read."""
    if isinstance(error, FileNotFoundError):
        return InputError(f"{path}: there is no such file; the run is not complete")
    return InputError(f"{path}: cannot be read ({error})")
