"""A model as the bytes of an exported file."""

import contextlib
import inspect
import io
import json
import logging
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pyg_agfn.errors import InputError, printable
from pyg_agfn.export.inference_model import InferenceModel
from pyg_agfn.exported_model import INPUT, OUTPUT
from pyg_agfn.extras import require

#: Version of ONNX's operators.
OPSET = 18
#: Whether this torch writes an exported program as ONNX, which 2.5 was the first to do.
CAN_WRITE_ONNX = "dynamo" in inspect.signature(torch.onnx.export).parameters
#: Where a ``.pt2`` keeps what it says of itself.
PT2_METADATA = "metadata.json"


def trace(model: InferenceModel, example: Tensor) -> torch.export.ExportedProgram:
    """The model as an exported program of any batch size.

    Args:
        model: In evaluation mode, on the CPU.
        example: Two images or more.

    Raises:
        InputError: What the model computes cannot be exported, such as a backbone of the user's
            own that asks for numbers.
    """
    sizes = {INPUT: {0: torch.export.Dim("batch")}}
    with _without_notices(), torch.no_grad():
        try:
            return torch.export.export(model, (example,), dynamic_shapes=sizes)
        except Exception as error:  # of whatever the model runs
            raise InputError(f"the model cannot be exported ({_first_line(error)})") from None


def to_pt2(program: torch.export.ExportedProgram, told: Mapping[str, str]) -> bytes:
    """The file that ``torch.export.load`` reads."""
    content = io.BytesIO()
    with _without_notices():
        torch.export.save(program, content, extra_files={PT2_METADATA: json.dumps(dict(told))})
    return content.getvalue()


def to_onnx(program: torch.export.ExportedProgram) -> Any:
    """The program as an ``onnx.ModelProto``.

    Raises:
        InputError: The extra ``export`` is not installed, or ONNX has no such operator.
    """
    require("onnx")
    require("onnxscript")
    with _without_notices(), torch.no_grad():
        try:
            written = torch.onnx.export(
                program,
                (),
                dynamo=True,
                external_data=False,
                input_names=[INPUT],
                output_names=[OUTPUT],
                opset_version=OPSET,
                verbose=False,
            )
        except Exception as error:
            raise InputError(
                f"the model cannot be written as ONNX ({_last_cause(error)}); a .pt2 may do"
            ) from None
    assert written is not None
    return written.model_proto


def quantize(proto: Any) -> Any:
    """The same with the backbone's weights in 8 bits, its inputs quantized as they come.

    The graph, the bank and the classifier stay in ``float32``, as in ``float16`` files.
    """
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    nodes = [
        node.name
        for node in proto.graph.node
        if any(p.key.endswith("name_scopes") and "backbone" in p.value for p in node.metadata_props)
    ]
    logging.disable(logging.WARNING)  # it says of each file that it could be simplified first
    try:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "int8.onnx")
            quantize_dynamic(proto, file, nodes_to_quantize=nodes, weight_type=QuantType.QUInt8)
            return onnx.load(file)
    finally:
        logging.disable(logging.NOTSET)


def to_bytes(proto: Any, told: Mapping[str, str]) -> bytes:
    """The ONNX file, with what it says of itself.

    Raises:
        InputError: It is larger than the format allows.
    """
    import onnx

    onnx.helper.set_model_props(proto, dict(told))
    proto.producer_name, proto.producer_version = "pyg_agfn", told["version"]
    try:
        content: bytes = proto.SerializeToString()
    except Exception as error:  # of protobuf, in a class of its own version
        raise InputError(
            f"the model cannot be written as ONNX ({_first_line(error)}); a .pt2 may do"
        ) from None
    return content


@contextlib.contextmanager
def _without_notices() -> Iterator[None]:
    """Of exporters, whose notices are about their own future."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.disable(logging.WARNING)
        try:
            yield
        finally:
            logging.disable(logging.NOTSET)


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return printable(f"{type(error).__name__}: {lines[0] if lines else ''}", 200)


def _last_cause(error: BaseException) -> str:
    """The first line of what began it: exporters wrap it in pages."""
    while error.__cause__ is not None:
        error = error.__cause__
    return _first_line(error)
