"""The training loop of one method, and what is measured of it."""

import platform
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning.fabric import Fabric
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from pyg_agfn.datasets import ImageDataset
from pyg_agfn.datasets.batches import Batches
from pyg_agfn.distributed import mean_of, rank, synchronize_batch_norm, world_size
from pyg_agfn.errors import InputError
from pyg_agfn.evaluation import Shuffled, Single, evaluate, extract_features
from pyg_agfn.methods import Objective, make_objective
from pyg_agfn.nn import AGFNClassifier, BaselineClassifier
from pyg_agfn.runs.folder import Answers, Method, ModelConfig, References
from pyg_agfn.training.checkpoint import Epoch, Saver, TrainingState
from pyg_agfn.training.coordinate_descent import CoordinateDescent
from pyg_agfn.training.few_images import warn_of_few_steps
from pyg_agfn.training.interruption import deferred_signals
from pyg_agfn.training.label_correction import LabelCorrection
from pyg_agfn.training.losses import LOSSES
from pyg_agfn.training.measure import graph_parameters, measure, peak_memory
from pyg_agfn.training.option_uses import corrects_labels
from pyg_agfn.training.options import TrainOptions
from pyg_agfn.training.profile import StepProfile, profile_steps


@dataclass(frozen=True)
class Trained:
    """A trained model and its bank, what it answers, what each epoch and the end measured."""

    card: ModelConfig
    model: BaselineClassifier
    references: References | None
    answers: Answers
    history: list[Epoch]
    metrics: dict[str, Any]


def describe_model(options: TrainOptions, method: Method, data: ImageDataset) -> ModelConfig:
    """What a method's model is, for these options and images."""
    _, channels, height, width = data.images.shape
    return ModelConfig(
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
        resize=options.resize,
        white_integer=data.white.integer,
        white_float=data.white.floating,
    )


def fit(
    fabric: Fabric,
    options: TrainOptions,
    method: Method,
    train: ImageDataset,
    test: ImageDataset,
    console: Console,
    folder: Path | None = None,
) -> Trained:
    """Trains one method and measures it on the test images, after each epoch and at the end.

    What counts is the last epoch: the best one would be chosen on the test images. A checkpoint in
    the run folder is where it goes on; it leaves one there by the time of the options, and when
    Ctrl-C or SIGTERM ends it. Without a folder nothing is written.

    Raises:
        InputError: The loss is no longer finite, there are too few images for a batch, or the
            checkpoint cannot be read or written.
        InterruptedRunError: A signal has come; the run is saved.
    """
    if len(train) < 2:
        raise InputError("training needs at least 2 images (batch normalization)")
    if len(train.classes) < 2:
        raise InputError(f"training needs at least 2 classes, there is only {train.classes[0]}")
    if warning := warn_of_few_steps(options.batch_size, len(train)):
        console.print(warning, soft_wrap=True, highlight=False)
    card = describe_model(options, method, train)
    torch.manual_seed(options.seed)  # every method's backbone starts from the same weights
    device = fabric.device
    if device.type == "cpu" and options.precision == "bf16" and _emulates_bf16():
        console.print("this CPU emulates bf16, which takes many times longer: use --precision fp32")
    model = card.build()
    model.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    synchronize_batch_norm(model, device)
    agfn = model.agfn if isinstance(model, AGFNClassifier) else None
    if agfn is not None:
        agfn.gather_distributed = options.graph_span == "global"
    objective = choose_objective(options, method)
    objective.begin(model, len(train))
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
    state = TrainingState(model, descent, objective, batches)
    state.begin_epoch(1)
    saver = Saver(folder, state, train, options)
    if saver.resume():
        console.print(
            f"{method}: goes on in epoch {state.epoch}, after {batches.done} of its "
            f"{len(batches)} steps",
            highlight=False,
        )
    for epoch in state.history:
        fabric.log_dict(epoch, step=epoch["epoch"])

    # The first epoch that has all there is to see.
    profiled = options.pretrain_epochs + 1 if agfn is not None else 1
    with _progress_bar(console) as progress, deferred_signals(world_size() == 1) as interruption:
        saver.interruption = interruption
        done = (state.epoch - 1) * len(batches) + batches.done
        bar = progress.add_task(method, total=num_steps, completed=done, state="")
        while state.epoch <= options.epochs:
            if agfn is not None:
                objective.use_graph = state.epoch > options.pretrain_epochs
            write_profile = options.profile and state.epoch == profiled and rank() == 0
            with profile_steps(folder if write_profile else None) as profile:
                _train_epoch(state, saver, progress, bar, profile)
            answering = objective.trained(model)
            features = extract_features(answering, test_batches, fabric.autocast())
            protocol = once_shuffled if objective.use_graph else Single()
            state.history.append(
                {
                    "epoch": state.epoch,
                    "loss": mean_of(state.loss),
                    "train_accuracy": mean_of(state.accuracy),
                    "test_accuracy": evaluate(protocol, answering, features, test.labels).mean,
                    **graph_parameters(model),
                    **objective.findings(),
                    "seconds": state.seconds,
                    "images_per_second": len(batches) * batches.batch_size / state.seconds,
                    "peak_memory_gib": peak_memory(device),
                }
            )
            fabric.log_dict(state.history[-1], step=state.epoch)
            line = _epoch_line(method, options.epochs, state.history[-1])
            progress.console.print(line, soft_wrap=True, highlight=False)
            state.begin_epoch(state.epoch + 1)
        saver.stop_if_interrupted()
    saver.save()  # interrupted or killed while it is measured, it is trained all the same

    # A graph method's cost is that of the epochs that have the graph.
    first = 0 if agfn is None else options.pretrain_epochs
    epoch_seconds = [epoch["seconds"] for epoch in state.history[first:]]
    model = objective.trained(model)
    metrics, references, answers = measure(
        fabric, options, method, model, train, test, epoch_seconds
    )
    metrics |= objective.findings()
    return Trained(card, model, references, answers, state.history, metrics)


def choose_objective(options: TrainOptions, method: Method) -> Objective:
    """What a method minimizes, by the options."""
    criterion = LOSSES[options.loss]
    if method != "agfn" or not corrects_labels(options):
        return make_objective(method, criterion)
    parts = (options.teacher, options.memory, options.judges, options.heads)
    begin_epoch = options.pretrain_epochs + 1
    return LabelCorrection(criterion, *parts, begin_epoch, options.correct_at_most)


def _train_epoch(
    state: TrainingState, saver: Saver, progress: Progress, bar: TaskID, profile: StepProfile
) -> None:
    """The steps of the epoch that are not done."""
    state.model.train()
    before, start, first = state.seconds, time.perf_counter(), state.batches.done
    shown = start
    for images, labels, index in state.batches:
        loss, logits, targets = state.descent.step(images, labels, index, state.epoch)
        state.count(loss, logits, targets)
        now = time.perf_counter()
        state.seconds = before + now - start
        saver.after_step(loss, index)
        progress.advance(bar)
        if now - shown > 0.5:  # reading the totals makes a GPU wait
            shown, rate = now, (state.batches.done - first) * state.batches.batch_size
            text = f"loss {state.loss:.3f}  accuracy {state.accuracy:.1%}"
            progress.update(bar, state=f"{text}  {rate / (now - start):,.0f} images/s")
        profile.step()
    saver.check_losses()
    saver.check_weights()


def _emulates_bf16() -> bool:
    # Those with AVX-512 or better have the instructions, or come close.
    x86 = platform.machine().lower() in ("x86_64", "amd64")
    return x86 and torch.backends.cpu.get_cpu_capability() in ("DEFAULT", "NO AVX", "AVX2")


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
    if epoch.get("noise_rate") is not None:
        graph += f"  wrong labels {epoch['noise_rate']:.1%}"
    return (
        f"{method} epoch {epoch['epoch']}/{epochs}  loss {epoch['loss']:.3f}"
        f"  train {epoch['train_accuracy']:.1%}  test {epoch['test_accuracy']:.1%}{graph}"
        f"  {epoch['seconds']:.1f} s  {epoch['images_per_second']:,.0f} images/s"
    )
