"""The training loop of one method, and what is measured of it."""

import math
import resource
import statistics
import time
from dataclasses import asdict, dataclass
from typing import Any

import torch
from lightning.fabric import Fabric
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torchmetrics.aggregation import MeanMetric
from torchmetrics.classification import MulticlassAccuracy

from pyg_agfn.datasets import ImageDataset
from pyg_agfn.errors import InputError
from pyg_agfn.nn import AGFNClassifier, BaselineClassifier
from pyg_agfn.training.batches import Batches
from pyg_agfn.training.coordinate_descent import CoordinateDescent
from pyg_agfn.training.evaluate import (
    accuracy,
    extract_features,
    memorized_share,
    predict_batches,
    predict_single,
    shuffled_accuracy,
    shuffled_orders,
)
from pyg_agfn.training.options import Method, TrainOptions
from pyg_agfn.transforms import PoissonEdges, ThresholdEdges

Epoch = dict[str, float]


@dataclass(frozen=True)
class Trained:
    """A trained model, what each epoch measured and what the end measured."""

    model: BaselineClassifier
    history: list[Epoch]
    metrics: dict[str, Any]


def build_model(options: TrainOptions, method: Method, data: ImageDataset) -> BaselineClassifier:
    """The model of a method. Of one seed, every method's backbone starts from the same weights."""
    torch.manual_seed(options.seed)
    channels = data.images.size(1)
    if method == "baseline":
        return BaselineClassifier(options.backbone, data.num_classes, channels)
    edges = (
        PoissonEdges(options.alpha, options.beta, options.samples)
        if method == "agfn"
        else ThresholdEdges(options.threshold)
    )
    return AGFNClassifier(
        options.backbone,
        data.num_classes,
        channels,
        hidden_channels=options.feature_dim,
        edges=edges,
    )


def fit(
    fabric: Fabric,
    options: TrainOptions,
    method: Method,
    train: ImageDataset,
    test: ImageDataset,
    console: Console,
) -> Trained:
    """Trains one method and measures it on the test images, after each epoch and at the end.

    What counts is the last epoch: the best one would be chosen on the test images.

    Raises:
        InputError: The loss is no longer finite, or there are too few images for a batch.
    """
    if len(train) < 2:
        raise InputError("training needs at least 2 images (batch normalization)")
    model = build_model(options, method, train)
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    agfn = model.agfn if isinstance(model, AGFNClassifier) else None
    device = fabric.device
    batches = Batches(train, options.batch_size, device, True, options.augment, options.seed)
    test_batches = Batches(test, options.batch_size, device)
    (test_order,) = shuffled_orders(len(test), 1, options.seed)

    num_steps = options.epochs * len(batches)
    descent = CoordinateDescent(fabric, model, options, num_steps)
    history: list[Epoch] = []

    with _progress_bar(console) as progress:
        bar = progress.add_task(method, total=num_steps, state="")
        for epoch in range(1, options.epochs + 1):
            model.train()
            if agfn is not None:
                agfn.use_graph = epoch > options.pretrain_epochs
            mean_loss = MeanMetric(nan_strategy="disable").to(device)  # a nan must be seen
            correct = MulticlassAccuracy(train.num_classes, average="micro").to(device)
            start = shown = time.perf_counter()

            for step, (images, labels) in enumerate(batches, 1):
                loss, logits, targets = descent.step(images, labels)
                mean_loss.update(loss)
                correct.update(logits, targets)
                progress.advance(bar)
                now = time.perf_counter()
                if now - shown > 0.5:  # reading the meters makes a GPU wait
                    shown, rate = now, step * batches.batch_size / (now - start)
                    state = f"loss {mean_loss.compute():.3f}  accuracy {correct.compute():.1%}"
                    progress.update(bar, state=f"{state}  {rate:,.0f} images/s")

            loss_value = float(mean_loss.compute())
            seconds = time.perf_counter() - start
            if not math.isfinite(loss_value):
                raise InputError(
                    f"{method}: the loss is {loss_value} in epoch {epoch}: lower --lr"
                    f" ({options.lr}) or --lr-graph ({options.lr_graph})"
                )
            features = extract_features(fabric, model, test_batches)
            predicted = predict_batches(fabric, model, features, test_order, options.batch_size)
            history.append(
                {
                    "epoch": epoch,
                    "loss": loss_value,
                    "train_accuracy": float(correct.compute()),
                    "test_accuracy": accuracy(predicted, test.labels, test.num_classes),
                    **_graph_parameters(model),
                    "seconds": seconds,
                    "images_per_second": len(batches) * batches.batch_size / seconds,
                }
            )
            fabric.log_dict(history[-1], step=epoch)
            progress.console.print(
                _epoch_line(method, options.epochs, history[-1]), soft_wrap=True, highlight=False
            )

    return Trained(model, history, measure(fabric, options, method, model, train, test, history))


def measure(
    fabric: Fabric,
    options: TrainOptions,
    method: Method,
    model: BaselineClassifier,
    train: ImageDataset,
    test: ImageDataset,
    history: list[Epoch],
) -> dict[str, Any]:
    """What ``metrics.json`` holds: accuracy by protocol, and what was memorized."""
    features = extract_features(fabric, model, Batches(test, options.batch_size, fabric.device))
    shuffled = shuffled_accuracy(
        fabric,
        model,
        features,
        test.labels,
        options.batch_size,
        options.eval_draws,
        options.seed,
    )
    single = accuracy(predict_single(fabric, model, features), test.labels, test.num_classes)

    memorized = None
    if train.wrong_labels.any():
        features = extract_features(
            fabric, model, Batches(train, options.batch_size, fabric.device)
        )
        (order,) = shuffled_orders(len(train), 1, options.seed)
        predicted = predict_batches(fabric, model, features, order, options.batch_size)
        memorized = memorized_share(predicted, train.labels, train.true_labels)

    on_gpu = fabric.device.type == "cuda"
    peak = torch.cuda.max_memory_allocated(fabric.device) / 2**30 if on_gpu else _peak_rss()
    return {
        "dataset": options.dataset,
        "split": options.eval_split,
        "method": method,
        "noise": float(train.wrong_labels.double().mean()),
        "seed": options.seed,
        "epochs": options.epochs,
        "accuracy": {"shuffled": asdict(shuffled), "single": single},
        "memorized": memorized,
        **_graph_parameters(model),
        "seconds_per_epoch": statistics.median(epoch["seconds"] for epoch in history),
        "peak_memory_gib": peak,
        "train_images": len(train),
        "test_images": len(test),
        "classes": list(train.classes),
        "device": str(fabric.device),
        "torch": torch.__version__,
    }


def _graph_parameters(model: BaselineClassifier) -> dict[str, Any]:
    if isinstance(model, AGFNClassifier) and isinstance(model.agfn.edges, PoissonEdges):
        return {"alpha": model.agfn.edges.alpha.item(), "beta": model.agfn.edges.beta.item()}
    return {"alpha": None, "beta": None}


def _peak_rss() -> float:
    """Most memory this process ever held, in GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


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
