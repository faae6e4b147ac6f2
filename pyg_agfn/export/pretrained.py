"""A finished model as the folder that the Hugging Face Hub expects.

``config.json`` says what the model is and what was measured of it, ``model.safetensors`` has the
weights and the bank's features, and ``README.md`` is the model card. Pixels and names of training
images are left out. Nothing in the folder is run or unpickled, and its sizes are checked as those
of a run folder are.
"""

import dataclasses
import os
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from pyg_agfn import __version__
from pyg_agfn.choices import CUSTOM, MAX_REFERENCES
from pyg_agfn.errors import InputError, as_path, printable
from pyg_agfn.export.model_card import write_model_card
from pyg_agfn.nn import AGFNClassifier, BaselineClassifier, ReferenceBank
from pyg_agfn.nn.own_backbone import build_own_backbone
from pyg_agfn.output_files import check_output_folder, refuse_existing
from pyg_agfn.runs.files import TensorSpec, write_tensors
from pyg_agfn.runs.folder import References, read_model
from pyg_agfn.runs.json_files import read_json, refuse_links, write_json, write_whole
from pyg_agfn.runs.model_config import NAMES_LIMIT, ModelConfig, is_size, parse_config

FORMAT = 1
FILES = ("config.json", "model.safetensors", "README.md")
#: The names that the bank's tensors have beside the weights.
PROJECTED, LABELS = "bank.projected", "bank.labels"


class Pretrained(NamedTuple):
    """What a folder holds.

    Attributes:
        config: What the model is.
        model: In evaluation mode, on the CPU.
        references: Of a graph method; ``images`` is empty, (0, C, H, W).
        metrics: What was measured of it.
    """

    config: ModelConfig
    model: BaselineClassifier
    references: References | None
    metrics: dict[str, Any]


def save_pretrained(
    folder: Path | str, pretrained: Pretrained, training: dict[str, Any], overwrite: bool = False
) -> Path:
    """Writes the folder.

    Args:
        folder: The folder, which is made.
        pretrained: What it is to hold.
        training: Options of the training, for the model card; empty where they are not known.
        overwrite: Replace the three files.

    Raises:
        InputError: The files exist, or cannot be written.
    """
    folder = as_path(folder, "folder")
    paths = [folder / name for name in FILES]
    if not overwrite:
        refuse_existing(paths, "save_pretrained")
    check_output_folder(folder, "save_pretrained")
    refuse_links(paths)
    config, model, references, metrics = pretrained
    tensors: dict[str, Tensor] = dict(model.state_dict())
    bank = None
    if references is not None:
        bank = {"size": len(references.labels), "batch_size": references.bank.batch_size}
        tensors |= {PROJECTED: references.bank.projected, LABELS: references.labels}
    write_tensors(folder / "model.safetensors", tensors, {"format": "pt"})
    card = write_model_card(folder.resolve().name, config, metrics, training)
    write_whole(folder / "README.md", card.encode("utf-8", "backslashreplace"))
    content = {
        "library_name": "pyg_agfn",
        "format": FORMAT,
        "version": __version__,
        "architectures": [type(model).__name__],
        "id2label": {str(number): name for number, name in enumerate(config.classes)},
        "model": dataclasses.asdict(config),
        "bank": bank,
        "metrics": metrics,
    }
    write_json(folder / "config.json", content)
    return folder


def load_pretrained(folder: Path | str, backbone: nn.Module | str | None = None) -> Pretrained:
    """Reads the folder.

    Args:
        folder: On this machine; nothing is fetched.
        backbone: The module that was trained, where it was no registered one, or ``module:Class``.

    Raises:
        InputError: There is no such folder, or a file in it is missing, broken, or does not fit.
    """
    folder = as_path(folder, "folder")
    if not os.path.isdir(folder):
        raise InputError(
            f"{folder}: there is no such folder; a model of a hub is fetched first, such as by hf "
            "download NAME --local-dir FOLDER"
        )
    path = folder / "config.json"
    content = read_json(path, NAMES_LIMIT)
    if content.get("library_name") != "pyg_agfn" or content.get("format") != FORMAT:
        raise InputError(
            f"{path}: is no model that save_pretrained of this version wrote; a run folder is "
            "read by TrainingResult.load"
        )
    fields, metrics = content.get("model"), content.get("metrics")
    if not isinstance(fields, dict) or not isinstance(metrics, dict):
        raise InputError(f"{path}: model and metrics must be JSON objects")
    config = parse_config(path, fields)
    if isinstance(backbone, str):
        own = config.backbone == CUSTOM
        channels, arguments = config.backbone_channels, config.backbone_args
        backbone = build_own_backbone(backbone, channels, arguments) if own else None
    size, batch_size = _read_bank(path, content.get("bank"))
    further = {}
    if size:
        further = {
            PROJECTED: TensorSpec("F32", (size, config.feature_dim)),
            LABELS: TensorSpec("I64", (size,)),
        }
    model, found = read_model(path, config, folder / "model.safetensors", backbone, further)
    if isinstance(model, AGFNClassifier) != bool(size):
        raise InputError(f"{path}: a bank belongs to a graph method, and to no other")
    references = None
    if isinstance(model, AGFNClassifier):
        labels = found[LABELS]
        if not 0 <= int(labels.min()) <= int(labels.max()) < len(config.classes):
            raise InputError(f"{path}: the bank's labels must be 0 to {len(config.classes) - 1}")
        bank = ReferenceBank(model.agfn, found[PROJECTED], batch_size).eval()
        none = torch.zeros(0, config.channels, config.height, config.width, dtype=torch.uint8)
        names = [f"training image {number}" for number in range(1, size + 1)]
        references = References(bank, none, labels, names)
    return Pretrained(config, model, references, metrics)


def _read_bank(path: Path, bank: object) -> tuple[int, int | None]:
    """References, 0 for none, and the batch size that their edges are scaled to."""
    if bank is None:
        return 0, None
    content: dict[str, Any] = bank if isinstance(bank, dict) else {}
    size, batch_size = content.get("size"), content.get("batch_size", 0)
    good = is_size(size) and (batch_size is None or is_size(batch_size))
    if not isinstance(size, int) or not good or size > MAX_REFERENCES:
        raise InputError(f"{path}: bank cannot be {printable(repr(bank), 80)}")
    return size, batch_size
