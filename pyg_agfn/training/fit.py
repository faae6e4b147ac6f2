"""The training loop of one method, and what is measured of it."""

import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning.fabric import Fabric
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torchmetrics.aggregation import MeanMetric
from torchmetrics.classification import MulticlassAccuracy

from pyg_agfn.datasets import ImageDataset
from pyg_agfn.datasets.batches import Batches
from pyg_agfn.distributed import mean_of, synchronize_batch_norm
from pyg_agfn.errors import InputError
from pyg_agfn.evaluation import Shuffled, evaluate, extract_features
from pyg_agfn.nn import AGFNClassifier, BaselineClassifier
from pyg_agfn.rivals import make_objective
from pyg_agfn.run_folder import Answers, Method, ModelCard, References
from pyg_agfn.training.coordinate_descent import CoordinateDescent
from pyg_agfn.training.losses import LOSSES
from pyg_agfn.training.measure import graph_parameters, measure, peak_memory
from pyg_agfn.training.options import TrainOptions
from pyg_agfn.training.profile import profile_steps

Epoch = dict[str, float]


@dataclass(frozen=True)
class Trained:
    """A trained model and its bank, what it answers, what each epoch and the end measured."""

    card: ModelCard
    model: BaselineClassifier
    references: References | None
    answers: Answers
    history: list[Epoch]
    metrics: dict[str, Any]


def describe_model(options: TrainOptions, method: Method, data: ImageDataset) -> ModelCard:
    """What a method's model is, for these options and images."""
    _, channels, height, width = data.images.shape
    return ModelCard(
        method=method,
        backbone=options.backbone,
        classes=data.classes,
        channels=channels,
        height=height,
        width=width,
        feature_dim=options.feature_dim,
        batch_size=min(options.batch_size, len(data)),
        samples=options.samples,
        alpha=options.alpha,
        beta=options.beta,
        threshold=options.threshold,
    )


def fit(
    fabric: Fabric,
    options: TrainOptions,
    method: Method,
    train: ImageDataset,
    test: ImageDataset,
    console: Console,
    profile_folder: Path | None = None,
) -> Trained:
    """Trains one method and measures it on the test images, after each epoch and at the end.

    What counts is the last epoch: the best one would be chosen on the test images. Some steps are
    profiled if there is a folder for it (:func:`profile_steps`).

    Raises:
        InputError: The loss is no longer finite, or there are too few images for a batch.
    """
    if len(train) < 2:
        raise InputError("training needs at least 2 images (batch normalization)")
    card = describe_model(options, method, train)
    torch.manual_seed(options.seed)  # every method's backbone starts from the same weights
    device = fabric.device
    model = card.build()
    model.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    synchronize_batch_norm(model, device)
    agfn = model.agfn if isinstance(model, AGFNClassifier) else None
    if agfn is not None:
        agfn.global_graph = options.graph_span == "global"
    objective = make_objective(method, LOSSES[options.loss])
    batches = Batches(
        train,
        options.batch_size,
        device,
        shuffle=True,
        augmented=options.augment,
        seed=options.seed,
        mirrored=objective.mirrored,
        workers=options.workers,
    )
    test_batches = Batches(test, options.batch_size, device, workers=options.workers)
    once_shuffled = Shuffled(options.batch_size, 1, options.seed)

    num_steps = options.epochs * len(batches)
    descent = CoordinateDescent(fabric, model, objective, options, num_steps)
    history: list[Epoch] = []

    with _progress_bar(console) as progress:
        bar = progress.add_task(method, total=num_steps, state="")
        for epoch in range(1, options.epochs + 1):
            model.train()
            if agfn is not None:
                agfn.use_graph = epoch > options.pretrain_epochs
            mean_loss = MeanMetric(nan_strategy="disable").to(device)  # a nan must be seen
            correct = MulticlassAccuracy(train.num_classes, average="micro").to(device)
            # The bar reads them at times of its own, which several processes could not agree on.
            mean_loss.sync_on_compute = correct.sync_on_compute = False
            start = shown = time.perf_counter()

            # The first epoch that has all there is to see.
            first = options.pretrain_epochs + 1 if agfn is not None else 1
            with profile_steps(profile_folder if epoch == first else None) as profile:
                for step, batch in enumerate(batches, 1):
                    loss, logits, targets = descent.step(*batch, epoch)
                    mean_loss.update(loss)
                    correct.update(logits, targets)
                    progress.advance(bar)
                    now = time.perf_counter()
                    if now - shown > 0.5:  # reading the meters makes a GPU wait
                        shown, rate = now, step * batches.batch_size / (now - start)
                        state = f"loss {mean_loss.compute():.3f}  accuracy {correct.compute():.1%}"
                        progress.update(bar, state=f"{state}  {rate:,.0f} images/s")
                    profile.step()

            loss_value = mean_of(float(mean_loss.compute()))
            seconds = time.perf_counter() - start
            if not math.isfinite(loss_value):
                raise InputError(
                    f"{method}: the loss is {loss_value} in epoch {epoch}: lower --lr"
                    f" ({options.lr}) or --lr-graph ({options.lr_graph})"
                )
            features = extract_features(model, test_batches, fabric.autocast())
            history.append(
                {
                    "epoch": epoch,
                    "loss": loss_value,
                    "train_accuracy": mean_of(float(correct.compute())),
                    "test_accuracy": evaluate(once_shuffled, model, features, test.labels).mean,
                    **graph_parameters(model),
                    "seconds": seconds,
                    "images_per_second": len(batches) * batches.batch_size / seconds,
                    "peak_memory_gib": peak_memory(device),
                }
            )
            fabric.log_dict(history[-1], step=epoch)
            progress.console.print(
                _epoch_line(method, options.epochs, history[-1]), soft_wrap=True, highlight=False
            )

    # A graph method's cost is that of the epochs that have the graph.
    first = 0 if agfn is None else options.pretrain_epochs
    epoch_seconds = [epoch["seconds"] for epoch in history[first:]]
    metrics, references, answers = measure(
        fabric, options, method, model, train, test, epoch_seconds
    )
    return Trained(card, model, references, answers, history, metrics)


def _progress_bar(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[state]}"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )


def _epoch_line(method: Method, epochs: int, epoch: Epoch) -> str:
    graph = f"  α {epoch['alpha']:.3f} β {epoch['beta']:.3f}" if epoch["alpha"] is not None else ""
    return (
        f"{method} epoch {epoch['epoch']}/{epochs}  loss {epoch['loss']:.3f}"
        f"  train {epoch['train_accuracy']:.1%}  test {epoch['test_accuracy']:.1%}{graph}"
        f"  {epoch['seconds']:.1f} s  {epoch['images_per_second']:,.0f} images/s"
    )
