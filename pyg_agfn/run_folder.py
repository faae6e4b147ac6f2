"""The run folder: how a trained model is kept and handed on. Weights as safetensors, the rest JSON.

Nothing is unpickled, so a folder from a stranger cannot run code.

======================  ========================================================================
``model.json``          what the model is (:class:`ModelCard`): method, backbone, classes, size
``model.safetensors``   its weights
``bank.safetensors``    graph methods: the references' projected features, images and labels
``bank.json``           their names, and the batch size that their edges are scaled to
``answers.safetensors`` the bank protocol's logits of the test images, and their true labels
``metrics.json``        what was measured; written last, so where it is the run was finished
``config.json``         the options of the training run
======================  ========================================================================
"""

import dataclasses
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast, get_args

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor

from pyg_agfn.errors import InputError
from pyg_agfn.nn import BACKBONES, AGFNClassifier, BaselineClassifier, ReferenceBank
from pyg_agfn.rivals import SCNClassifier
from pyg_agfn.transforms import PoissonEdges, SimilarityEdges, ThresholdEdges

#: In the order of the results' tables.
Method = Literal[
    "baseline",
    "label-smoothing",
    "gce",
    "center-loss",
    "scn",
    "eac",
    "threshold-gcn",
    "agfn",
]
#: Methods whose samples see each other.
GRAPH_METHODS: tuple[Method, ...] = ("threshold-gcn", "agfn")

FORMAT = 1


@dataclass(frozen=True)
class ModelCard:
    """All that has to be known of a model to build it and to feed it.

    Attributes:
        method: What trained it, one of :data:`Method`.
        backbone: One of :data:`pyg_agfn.nn.BACKBONES`.
        classes: Names of the classes, in the logits' order.
        channels: 1 for grey images, 3 for RGB.
        height, width: Size of the images in pixels.
        feature_dim: Size of the projected feature vectors.
        batch_size: Images a training step, N of the graph.
        samples: Graphs drawn of a mini-batch.
        alpha, beta: Initial parameters of the Poisson graph.
        threshold: Cosine above which ``threshold-gcn`` joins.
        format: Version of the run folder.
    """

    method: Method
    backbone: str
    classes: tuple[str, ...]
    channels: int
    height: int
    width: int
    feature_dim: int = 512
    batch_size: int = 256
    samples: int = 1
    alpha: float = 1.0
    beta: float = 0.0
    threshold: float = 0.5
    format: int = FORMAT

    def build(self) -> BaselineClassifier:
        """The model, with weights drawn from the global generator, the backbone's first."""
        if self.method not in GRAPH_METHODS:
            kind = SCNClassifier if self.method == "scn" else BaselineClassifier
            return kind(self.backbone, len(self.classes), self.channels)
        edges: SimilarityEdges = ThresholdEdges(self.threshold)
        if self.method == "agfn":
            edges = PoissonEdges(self.alpha, self.beta, self.samples)
        return AGFNClassifier(
            self.backbone,
            len(self.classes),
            self.channels,
            hidden_channels=self.feature_dim,
            edges=edges,
        )


@dataclass(frozen=True)
class References:
    """The training images of a bank.

    Attributes:
        bank: What answers.
        images: uint8, (M, C, H, W).
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
    card: ModelCard
    model: BaselineClassifier
    references: References | None


def save_model(
    folder: Path, card: ModelCard, model: BaselineClassifier, references: References | None
) -> None:
    """Writes a model and its bank into a run folder, each file whole or not at all."""
    write_json(folder / "model.json", dataclasses.asdict(card))
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
    path = folder / "answers.safetensors"
    shapes = _shapes(path)
    logits, labels = shapes.get("logits", ()), shapes.get("labels", ())
    if set(shapes) != {"logits", "labels"} or len(logits) != 2 or logits[:1] != labels:
        raise InputError(f"{path}: must hold logits (n, K) and labels (n), got {shapes}")
    tensors = load_file(path)
    return Answers(tensors["logits"].float(), tensors["labels"].long())


def load_run(folder: Path) -> Run:
    """Reads a run folder.

    Raises:
        InputError: A file is missing, broken, of another version, or does not fit the others; the
            message says which and what.
    """
    folder = Path(folder)
    card = _read_card(folder / "model.json")
    model = card.build()
    path = folder / "model.safetensors"
    expected = model.state_dict()
    _check_tensors(path, {name: tuple(tensor.shape) for name, tensor in expected.items()})
    model.load_state_dict(load_file(path))
    model.eval()
    if not isinstance(model, AGFNClassifier):
        return Run(folder, card, model, None)
    return Run(folder, card, model, _read_references(folder, card, model))


def _read_references(folder: Path, card: ModelCard, model: AGFNClassifier) -> References:
    path = folder / "bank.safetensors"
    content = _read_json(folder / "bank.json")
    names, batch_size = content.get("names"), content.get("batch_size", -1)
    if not isinstance(names, list) or not names or not all(isinstance(n, str) for n in names):
        raise InputError(f"{folder / 'bank.json'}: names must be a list of texts")
    if batch_size is not None and not _is_size(batch_size):
        raise InputError(f"{folder / 'bank.json'}: batch_size must be a number or null")
    shapes = {
        "projected": (len(names), card.feature_dim),
        "images": (len(names), card.channels, card.height, card.width),
        "labels": (len(names),),
    }
    _check_tensors(path, shapes)
    tensors = load_file(path)
    labels = tensors["labels"].long()
    if not 0 <= int(labels.min()) <= int(labels.max()) < len(card.classes):
        raise InputError(f"{path}: labels must be 0 to {len(card.classes) - 1}")
    bank = ReferenceBank(model.agfn, tensors["projected"].float(), batch_size).eval()
    return References(bank, tensors["images"].to(torch.uint8), labels, names)


def _read_card(path: Path) -> ModelCard:
    content = _read_json(path)
    if content.get("format") != FORMAT:
        raise InputError(
            f"{path}: is of format {content.get('format')!r}, this version reads {FORMAT}"
        )
    fields = {field.name: field for field in dataclasses.fields(ModelCard)}
    if set(content) != set(fields):
        wrong = ", ".join(sorted(set(content) ^ set(fields)))
        raise InputError(f"{path}: missing or unknown: {wrong}")
    sizes = ("channels", "height", "width", "feature_dim", "batch_size", "samples")
    classes = content["classes"]
    good = {
        "method": content["method"] in get_args(Method),
        "backbone": content["backbone"] in BACKBONES,
        "classes": isinstance(classes, list)
        and len(classes) >= 2
        and all(isinstance(name, str) for name in classes),
        **{name: _is_size(content[name]) for name in sizes},
        **{name: isinstance(content[name], int | float) for name in ("alpha", "beta", "threshold")},
    }
    for name, fits in good.items():
        if not fits:
            raise InputError(f"{path}: {name} cannot be {content[name]!r}")
    return ModelCard(**{**content, "classes": tuple(classes)})


def _is_size(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 1 << 16


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(
            f"{path}: there is no such file; --checkpoint takes the folder of a finished run"
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: cannot be read ({error})") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: must be a JSON object")
    return cast(dict[str, Any], content)


def _check_tensors(path: Path, shapes: dict[str, tuple[int, ...]]) -> None:
    """Compares names and shapes in the header before any tensor is read."""
    found = _shapes(path)
    for name in sorted(set(shapes) | set(found)):
        if name not in found:
            raise InputError(f"{path}: {name} is missing")
        if name not in shapes:
            raise InputError(f"{path}: {name} does not belong to this model")
        if found[name] != shapes[name]:
            raise InputError(
                f"{path}: {name} is of shape {list(found[name])} where the model has "
                f"{list(shapes[name])}"
            )


def _shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Names and shapes in the header of a file of tensors."""
    try:
        with safe_open(path, framework="pt") as file:
            return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise tensor_file_error(path, error) from None


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
    _write(path, (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode())


def _write(path: Path, content: bytes) -> None:
    partial = path.with_name(path.name + ".partial")
    try:
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())  # a name must not be on the disk before its content
        os.replace(partial, path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise InputError(f"{path}: cannot be written ({error.strerror})") from None


def tensor_file_error(path: Path, error: Exception) -> InputError:
    """What to say of a file of tensors that cannot be read."""
    if isinstance(error, FileNotFoundError):
        return InputError(f"{path}: there is no such file; the run is not complete")
    return InputError(f"{path}: cannot be read ({error})")
