"""What a model says of all training images between two epochs."""

import time
from functools import partial

import torch
from lightning.fabric import Fabric

from pyg_agfn.evaluation.features import extract_features
from pyg_agfn.evaluation.protocols import joins_images
from pyg_agfn.methods.method import TrainingOutputs
from pyg_agfn.nn import BaselineClassifier
from pyg_agfn.training.checkpoint import TrainingState
from pyg_agfn.training.data import TrainingData
from pyg_agfn.training.options import TrainOptions


def begin_epoch(
    fabric: Fabric, options: TrainOptions, state: TrainingState, train: TrainingData
) -> None:
    """Calls the method before an epoch, in whose time this counts.

    Within an epoch it is not called: a checkpoint has what the method found before the epoch.
    """
    if state.batches.done:
        return
    start = time.perf_counter()
    extract = partial(extract_outputs, fabric, options, state.model, train)
    state.method.begin_epoch(state.epoch, extract)
    state.seconds += time.perf_counter() - start


@torch.no_grad()
def extract_outputs(
    fabric: Fabric, options: TrainOptions, model: BaselineClassifier, train: TrainingData
) -> TrainingOutputs:
    """The model's features and logits of all training images, in ``float32``.

    Nothing is drawn from the generators of the training.
    """
    batches = train.batches(
        batch_size=options.batch_size, device=fabric.device, workers=options.workers
    )
    devices = [fabric.device] if fabric.device.type == "cuda" else []
    with torch.random.fork_rng(devices):  # a user's data set or model may draw
        features = extract_features(model, batches, fabric.autocast())
        given = {"use_graph": False} if joins_images(model) else {}
        logits = [model.head(part, **given) for part in features.split(options.batch_size)]
    return TrainingOutputs(features, torch.cat(logits), train.labels.to(fabric.device))
