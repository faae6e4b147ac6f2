"""The audit of the labels that a run was trained on."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

import torch
from torch import Tensor

from pyg_agfn.audit.audit import audit_labels
from pyg_agfn.audit.label_audit import LabelAudit
from pyg_agfn.audit.near_duplicates import appearance
from pyg_agfn.errors import InputError
from pyg_agfn.evaluation import Shuffled, extract_features
from pyg_agfn.methods.neighbor_correction.issue_rate import MIN_IMAGES
from pyg_agfn.nn import AGFNClassifier, BaselineClassifier
from pyg_agfn.runs.folder import Run
from pyg_agfn.training.data import TrainingData
from pyg_agfn.training.options import TrainOptions
from pyg_agfn.training.setup import make_fabric
from pyg_agfn.training.training_dynamics import TrainingDynamics


def audit_run(run: Run, options: TrainOptions, train: TrainingData) -> LabelAudit:
    """Audits the training labels of a run that was read back.

    Args:
        run: The run.
        options: Its options.
        train: Its training images.

    Raises:
        InputError: They are too few, or of one class, or a file of the run is broken.
    """
    fabric = make_fabric(options)
    # In training's layout, whose sums a GPU may round otherwise.
    layout = torch.channels_last
    model = run.model.to(device=fabric.device, memory_format=layout)  # type: ignore[call-overload]
    if isinstance(model, AGFNClassifier):
        model.agfn.propagation = options.propagation
    dynamics = TrainingDynamics.load(run.folder)
    return audit_model(
        model, train, options, run.config.classes, dynamics, precision=fabric.autocast()
    )


@torch.no_grad()
def audit_model(
    model: BaselineClassifier,
    train: TrainingData,
    options: TrainOptions,
    classes: Sequence[str],
    dynamics: TrainingDynamics | None = None,
    share: float | None = None,
    precision: AbstractContextManager[object] | None = None,
) -> LabelAudit:
    """Audits labels by a trained model; its graph, if it has one, weighs the neighbours.

    Args:
        model: Where it is to run.
        train: The images and their labels.
        options: Batch size and seed are those in which a run's metrics are measured.
        classes: Names of the model's classes.
        dynamics: Of its training, where they are known; used if that was of these images.
        share: Share of wrong labels, where it is known.
        precision: Precision to run the backbone in.

    Raises:
        InputError: The images are too few, or of one class.
    """
    if len(train) < MIN_IMAGES and share is None:
        raise InputError(
            f"{len(train)} images are too few to tell which labels are wrong; {MIN_IMAGES} are "
            "the least"
        )
    device = next(model.parameters()).device
    batches = train.batches(batch_size=options.batch_size, device=device)
    features = extract_features(model, batches, precision)
    # In batches as in training: a bank would hold some of the images themselves.
    in_batches = Shuffled(options.batch_size, 1, options.seed)
    logits = next(in_batches.logits(model, features, train.labels))
    edges = None
    if isinstance(model, AGFNClassifier):
        edges = model.agfn.edges
        features = torch.cat([model.agfn.projector(part) for part in features.split(4096)])
    return audit_labels(
        labels=train.labels,
        features=features,
        probabilities=logits.float().softmax(1),
        epoch_probability=None if dynamics is None else dynamics.of(train.fingerprint()),
        names=train.names,
        classes=classes,
        share=share,
        edges=edges,
        appearance=_looks(train),
        pixels=_pixels_by_name(train),
    )


def _looks(train: TrainingData) -> Tensor:
    parts = torch.arange(len(train)).split(1024)
    return torch.cat([appearance(train.pixels(part)) for part in parts])


def _pixels_by_name(train: TrainingData) -> Callable[[Sequence[str]], Tensor]:
    places = {name: i for i, name in enumerate(train.names)}

    def pixels(names: Sequence[str]) -> Tensor:
        return train.pixels(torch.tensor([places[name] for name in names], dtype=torch.long))

    return pixels
