"""The run folder: how a trained model is kept and handed on. Weights as safetensors, the rest JSON.

Nothing is unpickled and no module is imported, so a folder from an untrusted source cannot run
code, and it takes no more memory than its files and the limits below say (``SECURITY.md``).

=================================  =================================================================
``model.json``                     what the model is (:class:`ModelConfig`)
``model.safetensors``              its weights
``bank.safetensors``               graph methods: projected features, images and labels
``bank.json``                      their names, and the batch size that their edges are scaled to
``answers.safetensors``            the bank protocol's logits of the test images, their true labels
``training_dynamics.safetensors``  what the network said of each training label
``metrics.json``                   what was measured; written last, so the run was finished
``config.json``                    the options of the training run
=================================  =================================================================
"""

import copy
import dataclasses
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from pyg_agfn.choices import CUSTOM, MAX_REFERENCES, run_label
from pyg_agfn.errors import InputError, as_path
from pyg_agfn.nn import AGFNClassifier, BaselineClassifier, ReferenceBank
from pyg_agfn.nn.own_backbone import build_own_backbone, find_num_features
from pyg_agfn.registry import BACKBONES
from pyg_agfn.runs.files import (
    TensorSpec,
    read_header,
    read_tensors,
    spec_of,
    write_tensors,
)
from pyg_agfn.runs.json_files import read_json, write_json
from pyg_agfn.runs.model_config import NAMES_LIMIT, ModelConfig, is_size, read_config

#: Most bytes of what a model computes when it is built and its file does not hold, such as the
#: positions of a transformer's windows.
TABLES_LIMIT = 1 << 30


@dataclass(frozen=True)
class References:
    """The training images of a bank.

    Attributes:
        bank: What answers.
        images: uint8, (M, C, H, W); of a folder for a hub, which leaves them out, (0, C, H, W).
        labels: Their labels as training saw them, (M).
        names: What they are called.
    """

    bank: ReferenceBank
    images: Tensor
    labels: Tensor
    names: list[str]


@dataclass(frozen=True)
class Answers:
    """What a model answers by the bank protocol, in the test images' own order.

    Attributes:
        logits: (n, K).
        labels: True labels, (n).
    """

    logits: Tensor
    labels: Tensor

    @property
    def correct(self) -> Tensor:
        """Boolean (n): where the highest logit is the label's."""
        return self.logits.argmax(1) == self.labels


@dataclass(frozen=True)
class Run:
    """A trained model, read back: in evaluation mode, on the CPU."""

    folder: Path
    config: ModelConfig
    model: BaselineClassifier
    references: References | None


def label_of_folder(folder: Path, config: ModelConfig) -> str:
    """The same of a run folder, which may have lost its ``config.json``.

    Raises:
        InputError: The file is there and cannot be read.
    """
    path = as_path(folder, "run folder") / "config.json"
    recipe = read_json(path).get("recipe") if path.exists() else None
    return run_label(config.method, recipe)


def save_model(
    folder: Path, config: ModelConfig, model: BaselineClassifier, references: References | None
) -> None:
    """Writes a model and its bank into a run folder, each file whole or not at all."""
    write_json(folder / "model.json", dataclasses.asdict(config))
    write_tensors(folder / "model.safetensors", dict(model.state_dict()))
    if references is not None:
        batch_size = references.bank.batch_size
        write_json(folder / "bank.json", {"batch_size": batch_size, "names": references.names})
        tensors = {
            "projected": references.bank.projected,
            "images": references.images,
            "labels": references.labels,
        }
        write_tensors(folder / "bank.safetensors", tensors)


def save_answers(folder: Path, answers: Answers) -> None:
    """Writes ``answers.safetensors``, whole or not at all."""
    tensors = {"logits": answers.logits.float(), "labels": answers.labels}
    write_tensors(folder / "answers.safetensors", tensors)


def load_answers(folder: Path) -> Answers:
    """Reads ``answers.safetensors``.

    Raises:
        InputError: The file is missing or broken.
    """
    path = as_path(folder, "run folder") / "answers.safetensors"
    found = read_header(path)
    logits, labels = (found.get(name, TensorSpec("", ())) for name in ("logits", "labels"))
    if (
        set(found) != {"logits", "labels"}
        or (logits.dtype, labels.dtype) != ("F32", "I64")
        or len(logits.shape) != 2
        or logits.shape[:1] != labels.shape
        or 0 in logits.shape
    ):
        shown = ", ".join(f"{name} {kind}" for name, kind in list(found.items())[:3])
        raise InputError(f"{path}: must hold logits (n, K) and labels (n), got {shown}")
    tensors = read_tensors(path, found)
    return Answers(tensors["logits"], tensors["labels"])


def load_run(folder: Path, backbone: nn.Module | str | None = None) -> Run:
    """Reads a run folder.

    Args:
        folder: Of a finished run.
        backbone: The module that was trained, where it was no registered one; it gets the weights.
            Or ``module:Class``, as the user has typed it; it is not looked at for other runs.

    Raises:
        InputError: A file is missing, broken, of another version, or does not fit the others; the
            message says which and what.
    """
    folder = as_path(folder, "run folder")
    path = folder / "model.json"
    if not os.path.exists(path):
        raise InputError(f"{path}: there is no such file; give the folder of a finished run")
    config = read_config(path)
    if isinstance(backbone, str):
        channels, arguments = config.backbone_channels, config.backbone_args
        own = config.backbone == CUSTOM
        backbone = build_own_backbone(backbone, channels, arguments) if own else None
    model, _ = read_model(path, config, folder / "model.safetensors", backbone)
    if not isinstance(model, AGFNClassifier):
        return Run(folder, config, model, None)
    return Run(folder, config, model, _read_references(folder, config, model))


def read_model(
    path: Path,
    config: ModelConfig,
    weights_file: Path,
    backbone: nn.Module | None = None,
    further: Mapping[str, TensorSpec] | None = None,
) -> tuple[BaselineClassifier, dict[str, Tensor]]:
    """A model with the weights of a file, in evaluation mode, and what the file holds beside them.

    Args:
        path: The file that says what the model is, for messages.
        config: What it says.
        weights_file: The weights.
        backbone: The module, where it is no registered one.
        further: Tensors of the file that are no weights.

    Raises:
        InputError: The model cannot be built, or the file holds other tensors.
    """
    if backbone is not None:
        _name_features(path, config, backbone)
    further = {} if further is None else further
    model = _build_empty(path, config, backbone)
    expected = {name: spec_of(tensor) for name, tensor in model.state_dict().items()}
    found = read_tensors(weights_file, {**expected, **further})
    if backbone is None and BACKBONES.family_of(config.backbone) is None:
        model = model.to_empty(device="cpu")
    else:
        # Modules from outside may have tensors that are not in the file.
        _check_buffers(path, model)
        with torch.random.fork_rng(devices=[]):
            model = config.build(backbone).to("cpu")
    model.load_state_dict({name: found[name] for name in expected})
    return model.eval(), {name: found[name] for name in further}


def refuse_idle_backbone(folders: Iterable[Path], backbone: str | None) -> None:
    """Stops where a ``module:Class`` is given and no run has a backbone of the user's own.

    Raises:
        InputError: It has no effect, or a ``model.json`` cannot be read.
    """
    if backbone is None:
        return
    configs = [read_config(as_path(folder, "run folder") / "model.json") for folder in folders]
    if all(config.backbone != CUSTOM for config in configs):
        names = " and ".join(dict.fromkeys(config.backbone for config in configs))
        raise InputError(f"--backbone has no effect on a run of {names}: leave it out")


def _check_buffers(path: Path, model: nn.Module) -> None:
    """Refuses a model that computes tables much larger than the weights that were read."""
    kept = model.state_dict()
    sizes = {name: b.numel() * b.element_size() for name, b in model.named_buffers()}
    size = sum(size for name, size in sizes.items() if name not in kept)
    if size > TABLES_LIMIT:
        raise InputError(
            f"{path}: the backbone computes tables of {size:,} bytes, where {TABLES_LIMIT:,} are "
            "the most"
        )


def _name_features(path: Path, config: ModelConfig, backbone: nn.Module) -> None:
    try:
        shape = (config.backbone_channels, config.height, config.width)
        backbone.num_features = find_num_features(backbone, shape)  # type: ignore[assignment]
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def _build_empty(path: Path, config: ModelConfig, backbone: nn.Module | None) -> BaselineClassifier:
    """The model without storage, which takes no memory before the weights are known to fit."""
    try:
        with torch.device("meta"):
            return config.build(None if backbone is None else copy.deepcopy(backbone).to("meta"))
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def _read_references(folder: Path, config: ModelConfig, model: AGFNClassifier) -> References:
    path = folder / "bank.safetensors"
    content = read_json(folder / "bank.json", NAMES_LIMIT)
    names, batch_size = content.get("names"), content.get("batch_size", -1)
    if not isinstance(names, list) or not names or not all(isinstance(n, str) for n in names):
        raise InputError(f"{folder / 'bank.json'}: names must be a list of texts")
    if len(names) > MAX_REFERENCES:
        raise InputError(f"{folder / 'bank.json'}: more than {MAX_REFERENCES:,} references")
    if batch_size is not None and not is_size(batch_size):
        raise InputError(f"{folder / 'bank.json'}: batch_size must be a number or null")
    size = len(names)
    expected = {
        "projected": TensorSpec("F32", (size, config.feature_dim)),
        "images": TensorSpec("U8", (size, config.channels, config.height, config.width)),
        "labels": TensorSpec("I64", (size,)),
    }
    tensors = read_tensors(path, expected)
    labels = tensors["labels"]
    if not 0 <= int(labels.min()) <= int(labels.max()) < len(config.classes):
        raise InputError(f"{path}: labels must be 0 to {len(config.classes) - 1}")
    bank = ReferenceBank(model.agfn, tensors["projected"], batch_size).eval()
    return References(bank, tensors["images"], labels, names)
