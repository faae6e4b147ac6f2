"""Writes a model as one file, and checks the file against PyTorch before it is kept."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from pyg_agfn.datasets.augmentation import to_float
from pyg_agfn.errors import InputError, as_path
from pyg_agfn.export import formats
from pyg_agfn.export.describe import describe
from pyg_agfn.export.inference_model import InferenceModel, halve_backbone
from pyg_agfn.exported_model import ExportedModel
from pyg_agfn.extras import require
from pyg_agfn.output_files import check_output_file, refuse_existing
from pyg_agfn.runs.json_files import whole_file
from pyg_agfn.runs.model_config import ModelConfig

Precision = Literal["fp32", "fp16", "int8"]
#: What a file's name may end in.
ENDINGS = (".onnx", ".pt2")
#: Largest difference of a probability from PyTorch's, of a file in fp32.
TOLERANCE = 1e-4
#: Sizes of the batches that are compared.
BATCH_SIZES = (1, 3, 64)


@dataclass(frozen=True)
class CheckImages:
    """Images that a file is compared with PyTorch on.

    Attributes:
        images: ``uint8`` as stored, or floats as the model was trained on, (n, C, H, W).
        name: What they are, such as "test images".
        labels: Their true classes, (n); None where they are not known.
    """

    images: Tensor
    name: str
    labels: Tensor | None = None

    @classmethod
    def random(cls, config: ModelConfig) -> "CheckImages":
        """Pixels at random, where there are no images."""
        shape = (max(BATCH_SIZES), config.channels, config.height, config.width)
        drawn = torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(0))
        return cls(drawn.to(torch.uint8), "images of random pixels")

    def floats(self, rows: Tensor | slice) -> Tensor:
        """Some of them as the model takes them."""
        part = self.images[rows]
        return to_float(part).contiguous() if part.dtype == torch.uint8 else part.float()


@dataclass(frozen=True)
class ExportReport:
    """What was written, and how it compares with PyTorch.

    Attributes:
        path: The file.
        precision: ``fp32``, ``fp16`` or ``int8``.
        size: Of the file, in bytes.
        differences: The largest difference of a probability by the size of the batch.
        checked: What it was compared on.
        same_class: Share of the compared images with the same likeliest class.
        accuracy: Of PyTorch's fp32 and of the file; None where it is not measured: in fp32, or
            without true classes.
    """

    path: Path
    precision: Precision
    size: int
    differences: dict[int, float]
    checked: str
    same_class: float
    accuracy: tuple[float, float] | None = None

    @property
    def largest_difference(self) -> float:
        """Of a probability, over all batches."""
        return max(self.differences.values())

    def __str__(self) -> str:
        by_size = ", ".join(f"{d:.1e} in batches of {n}" for n, d in self.differences.items())
        lines = [
            f"{self.path}: {self.precision}, {self.size / 2**20:.1f} MiB",
            f"largest difference of a probability from PyTorch's on {self.checked}: {by_size}",
        ]
        if self.precision != "fp32":
            lines.append(f"same class as PyTorch in fp32: {self.same_class:.2%} of {self.checked}")
        if self.accuracy is not None:
            before, after = self.accuracy
            lines.append(f"accuracy on {self.checked}: {after:.2%}, in fp32 {before:.2%}")
        return "\n".join(lines)


def export_model(
    model: InferenceModel,
    config: ModelConfig,
    path: Path | str,
    images: CheckImages | None = None,
    *,
    precision: Precision = "fp32",
    dataset: str | None = None,
    overwrite: bool = False,
) -> ExportReport:
    """Writes a model as ``.onnx`` or ``.pt2``, by the ending of the name.

    The file is compared with PyTorch before it gets its name: where it differs, there is none.

    Args:
        model: What answers for an image; it is not changed.
        config: What the model is.
        path: The file.
        images: What it is compared on; random pixels if not given.
        precision: Of the backbone's weights; ``fp16`` and ``int8`` for ``.onnx`` only.
        dataset: The name of the data set that it was trained on, for the note on the licence.
        overwrite: Replace an existing file.

    Raises:
        InputError: The file exists or cannot be written, a package is missing, the model cannot be
            exported, or the file's probabilities differ from PyTorch's by more than
            :data:`TOLERANCE` in fp32, or are not finite.
    """
    path = check_target(as_path(path, "path"), precision, overwrite)
    images = CheckImages.random(config) if images is None else images
    own = model.copy_for_export()
    expected = _answers(own, images, precision)
    told = describe(config, precision, dataset)
    if precision == "fp16":
        halve_backbone(own)
    program = formats.trace(own, images.floats(torch.arange(2) % len(images.images)))
    if path.suffix == ".pt2":
        content = formats.to_pt2(program, told)
    else:
        proto = formats.to_onnx(program)
        content = formats.to_bytes(formats.quantize(proto) if precision == "int8" else proto, told)
    with whole_file(path) as partial:
        partial.write_bytes(content)
        report = _compare(partial, path, precision, images, expected)
        if precision == "fp32" and not report.largest_difference <= TOLERANCE:
            raise InputError(
                f"{path}: not written, as its probabilities differ from PyTorch's by up to "
                f"{report.largest_difference:.1e}, where {TOLERANCE:.0e} is the most"
            )
    return report


def check_target(path: Path, precision: Precision = "fp32", overwrite: bool = False) -> Path:
    """The path, if a file can be written there.

    Raises:
        InputError: It cannot, or another ending or precision is needed, or a package is missing.
    """
    if path.suffix not in ENDINGS:
        raise InputError(f"--out {path}: the name must end in {' or '.join(ENDINGS)}")
    if precision not in get_args(Precision):
        raise InputError(f"--precision must be one of {', '.join(get_args(Precision))}")
    if path.suffix == ".pt2" and precision != "fp32":
        raise InputError(f"--precision {precision}: a .pt2 is fp32; name a .onnx file")
    if path.suffix == ".onnx":
        for package in ("onnx", "onnxscript", "onnxruntime"):
            require(package)
        if not formats.CAN_WRITE_ONNX:
            raise InputError("ONNX files need torch 2.5 or newer; a .pt2 does not")
    if not overwrite:
        refuse_existing([path], "--out")
    check_output_file(path, "--out")
    return path


def _answers(model: InferenceModel, images: CheckImages, precision: Precision) -> Tensor:
    """PyTorch's probabilities: of the images of the largest batch, or of all with labels."""
    with torch.no_grad():
        parts = [model(images.floats(rows)) for rows in _rows(images, precision).split(256)]
    return torch.cat(parts)


def _rows(images: CheckImages, precision: Precision) -> Tensor:
    """The compared images: evenly over all of them, as they may be sorted by class."""
    total, most = len(images.images), max(BATCH_SIZES)
    if precision != "fp32" and images.labels is not None:
        return torch.arange(total)
    return torch.arange(total) if total < most else torch.arange(most) * total // most


def _compare(
    file: Path, path: Path, precision: Precision, images: CheckImages, expected: Tensor
) -> ExportReport:
    """A file's answers beside PyTorch's."""
    answer = _reader(file, path.suffix)
    rows = _rows(images, precision)
    differences = {}
    for size in BATCH_SIZES:
        batch = torch.arange(size) % len(rows)
        found = answer(images.floats(rows[batch]))
        differences[size] = float((found - expected[batch]).abs().max())
    found = torch.cat([answer(images.floats(part)) for part in rows.split(256)])
    if not bool(found.isfinite().all()):
        raise InputError(f"{path}: not written, as its answers in {precision} are no numbers")
    accuracy = None
    if precision != "fp32" and images.labels is not None:
        right = [(p.argmax(1) == images.labels[rows]).float().mean() for p in (expected, found)]
        accuracy = float(right[0]), float(right[1])
    same = (found.argmax(1) == expected.argmax(1)).float().mean()
    checked = f"{len(rows):,} {images.name}"
    size_in_bytes = file.stat().st_size
    return ExportReport(path, precision, size_in_bytes, differences, checked, float(same), accuracy)


def _reader(file: Path, suffix: str) -> Callable[[Tensor], Tensor]:
    if suffix == ".onnx":
        model = ExportedModel(file)
        return lambda images: torch.from_numpy(np.array(model.predict_floats(images.numpy())))
    program = torch.export.load(io.BytesIO(file.read_bytes())).module()

    def run(images: Tensor) -> Tensor:
        with torch.no_grad():
            found: Tensor = program(images)
        return found

    return run
