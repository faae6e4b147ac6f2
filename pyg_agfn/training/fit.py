"""The training loop of one method, and what is measured of it."""

import time
from pathlib import Path

from lightning.fabric import Fabric
from rich.console import Console
from rich.progress import Progress, TaskID
from torch import nn

from pyg_agfn.distributed import mean_of, rank, world_size
from pyg_agfn.errors import InputError
from pyg_agfn.evaluation.protocols import joins_images
from pyg_agfn.methods.method import Method, TrainingBatch
from pyg_agfn.nn import AGFNClassifier, BaselineClassifier
from pyg_agfn.registry import METHODS
from pyg_agfn.training.build_model import build_model, describe_model, place_model
from pyg_agfn.training.checkpoint import TrainingState
from pyg_agfn.training.class_balance import make_criterion
from pyg_agfn.training.coordinate_descent import CoordinateDescent
from pyg_agfn.training.data import TrainingData, check_learns
from pyg_agfn.training.extract_outputs import begin_epoch
from pyg_agfn.training.few_images import warn_of_few_steps
from pyg_agfn.training.interruption import deferred_signals
from pyg_agfn.training.measure import graph_parameters, measure, peak_memory
from pyg_agfn.training.options import TrainOptions
from pyg_agfn.training.precision import emulates_bf16
from pyg_agfn.training.profile import StepProfile, profile_steps
from pyg_agfn.training.progress import epoch_line, progress_bar
from pyg_agfn.training.result import TrainingResult
from pyg_agfn.training.saver import Saver
from pyg_agfn.training.training_dynamics import TrainingDynamics
from pyg_agfn.training.validation import EpochMeasures, last_epochs
from pyg_agfn.training.weight_averaging import WeightAverage
from pyg_agfn.training.weights_file import StoredWeights


def make_method(options: TrainOptions, train: TrainingData | None = None) -> Method:
    """The one method of the options, by its settings and the classes of the training images."""
    (name,) = options.method
    return METHODS[name].from_options(options, make_criterion(options, train))


def fit(
    fabric: Fabric,
    options: TrainOptions,
    method: Method,
    train: TrainingData,
    test: TrainingData | None,
    console: Console,
    folder: Path | None = None,
    backbone: nn.Module | None = None,
    keep_best: bool = False,
    validation: TrainingData | None = None,
    weights: StoredWeights | None = None,
) -> TrainingResult:
    """Trains one method and measures it on the test images, after each epoch and at the end.

    The last epoch is kept. To keep the best one instead, it is chosen on the validation images;
    without any it is chosen on the test images, which are validation images then. A checkpoint in
    the run folder is where the run is resumed; one is left there by the time of the options, and
    when Ctrl-C or SIGTERM ends it. Without a folder nothing is written.

    Args:
        fabric: Device and precision.
        options: Of the one method.
        method: What a step minimizes.
        train: Training images.
        test: Images to measure on; None: nothing is measured but the training.
        console: Where it is told.
        folder: The run folder.
        backbone: The feature extractor, where it is no registered one.
        keep_best: Keep the epoch of the best accuracy.
        validation: Images, apart from both, to measure on after each epoch.
        weights: What the backbone begins with; none where the run is resumed.

    Raises:
        InputError: The loss is no longer finite, there are too few images for a batch, or the
            checkpoint cannot be read or written.
        InterruptedRunError: A signal has come; the run is saved.
    """
    if len(train) < 2:
        raise InputError("training needs at least 2 images (batch normalization)")
    check_learns(method, train)
    if len(train.classes) < 2:
        raise InputError(f"training needs at least 2 classes, there is only {train.classes[0]}")
    if warning := warn_of_few_steps(options.batch_size, len(train)):
        console.print(warning, soft_wrap=True, highlight=False)
    if fabric.device.type == "cpu" and options.precision == "bf16" and emulates_bf16():
        console.print("this CPU emulates bf16, which takes many times longer: use --precision fp32")
    (name,) = options.method
    config = describe_model(options, name, train)
    model = build_model(config, options, backbone, weights, console)
    _set_up(method, place_model(model, options, fabric.device), len(train))
    state = _begin(fabric, options, method, train)
    if options.weight_averaging != "none" and state.average is None:
        console.print(f"{name}: --weight-averaging is left out, as its model is an average anyhow")
    saver = Saver(folder, state, train, options)
    if saver.resume():
        console.print(
            f"{name}: resumes in epoch {state.epoch}, after {state.batches.done} of its "
            f"{len(state.batches)} steps",
            highlight=False,
        )
        if keep_best and state.history and not state.best:
            raise InputError(
                f"{folder}: the run was begun by keep='last', and the best epoch so far is not "
                "kept: resume it so, or choose another folder"
            )
    for epoch in state.history:
        fabric.log_dict(epoch, step=epoch["epoch"])
    measures = EpochMeasures(fabric, options, test, validation, keep_best)
    _train(measures, state, saver, train, console)
    saver.save()  # interrupted or killed while it is measured, it is trained all the same

    # A graph method's cost is that of the epochs that have the graph.
    seconds = [e["seconds"] for e in state.history if method.uses_graph(e["epoch"])]
    seconds = seconds or [e["seconds"] for e in state.history]
    model = state.inference_model()
    if keep_best:
        model.load_state_dict(state.best)
    measured = measure(fabric, options, name, model, train, test, seconds)
    measured.metrics.update({**method.metrics(), **last_epochs(state.history)})
    if validation is not None:
        measured.metrics["val_images"] = len(validation)
    if keep_best:
        measured.metrics["best_epoch"] = measures.best_epoch(state.history)
    return TrainingResult(
        config,
        model,
        measured.references,
        options,
        measured.metrics,
        state.history,
        measured.answers,
        measured.train_answers,
        train,
        state.dynamics,
    )


def _set_up(method: Method, model: BaselineClassifier, num_images: int) -> None:
    """Gives the method its model, and refuses one that does not fit it.

    Raises:
        InputError: One of the two joins the images of a batch and the other does not, or
            :meth:`Method.setup` has not kept the model.
    """
    name, joins = type(method).__name__, joins_images(model)
    if joins != method.joins_images:
        raise InputError(
            f"{name}: joins_images is {method.joins_images}, and the head of its "
            f"{type(model).__name__} has {'an' if joins else 'no'} argument use_graph: both say "
            "whether the images of a batch are joined"
        )
    if joins and not isinstance(model, AGFNClassifier):
        raise InputError(
            f"{name}: its {type(model).__name__} joins images, and is no AGFNClassifier, of which "
            "a reference bank can be made"
        )
    method.setup(model, num_images)
    if getattr(method, "model", None) is not model:
        raise InputError(f"{name}: setup() does not set the model: call super().setup()")


def _begin(
    fabric: Fabric, options: TrainOptions, method: Method, train: TrainingData
) -> TrainingState:
    """Batches, optimizers and what is counted, before the first step."""
    batches = train.batches(
        batch_size=options.batch_size,
        device=fabric.device,
        shuffle=True,
        augmented=options.augment,
        seed=options.seed,
        views=method.views,
        workers=options.workers,
        balanced=options.balance == "sampler",
    )
    num_steps = options.epochs * len(batches)
    descent = CoordinateDescent(fabric, method.model, method, options, num_steps)
    dynamics = TrainingDynamics(len(train), train.fingerprint(), fabric.device)
    state = TrainingState(method.model, descent, method, batches, dynamics)
    if options.weight_averaging != "none" and method.inference_model() is method.model:
        state.average = WeightAverage(method.model, options)
    state.begin_epoch(1)
    return state


def _train(
    measures: EpochMeasures,
    state: TrainingState,
    saver: Saver,
    train: TrainingData,
    console: Console,
) -> None:
    """The epochs that are not done."""
    fabric, options = measures.fabric, measures.options
    method, batches = state.method, state.batches
    # The first epoch that has all there is to see.
    profiled = next((e for e in range(1, options.epochs + 1) if method.uses_graph(e)), 1)
    with progress_bar(console) as progress, deferred_signals(world_size() == 1) as interruption:
        saver.interruption = interruption
        done, total = (state.epoch - 1) * len(batches) + batches.done, state.descent.num_steps
        bar = progress.add_task(method.name, total=total, completed=done, state="")
        while state.epoch <= options.epochs:
            write_profile = options.profile and state.epoch == profiled and rank() == 0
            with profile_steps(saver.folder if write_profile else None) as profile:
                begin_epoch(fabric, options, state, train)
                _train_epoch(state, saver, progress, bar, profile)
            if state.average is not None:
                state.average.after_epoch(state.epoch, train, options, fabric)
            accuracies = measures.measure(state)
            state.history.append(
                {
                    "epoch": state.epoch,
                    "loss": mean_of(state.loss),
                    "train_accuracy": mean_of(state.accuracy),
                    **accuracies,
                    **graph_parameters(state.model),
                    **method.metrics(),
                    "seconds": state.seconds,
                    "images_per_second": len(batches) * batches.batch_size / state.seconds,
                    "peak_memory_gib": peak_memory(batches.device),
                }
            )
            fabric.log_dict(state.history[-1], step=state.epoch)
            line = epoch_line(method.name, options.epochs, state.history[-1])
            progress.console.print(line, soft_wrap=True, highlight=False)
            state.begin_epoch(state.epoch + 1)
        saver.stop_if_interrupted()


def _train_epoch(
    state: TrainingState, saver: Saver, progress: Progress, bar: TaskID, profile: StepProfile
) -> None:
    """The steps of the epoch that are not done."""
    state.descent.begin_epoch(state.epoch)
    before, start, first = state.seconds, time.perf_counter(), state.batches.done
    shown = start
    for batch in state.batches:
        seen = TrainingBatch(*batch[:4], state.epoch, batch.soft_labels)
        out = state.descent.step(seen)
        state.count(seen, out)
        if state.average is not None:
            state.average.after_step()
        now = time.perf_counter()
        state.seconds = before + now - start
        saver.after_step(out.loss, batch.index)
        progress.advance(bar)
        if now - shown > 0.5:  # reading the totals makes a GPU wait
            shown, rate = now, (state.batches.done - first) * state.batches.batch_size
            text = f"loss {state.loss:.3f}  accuracy {state.accuracy:.1%}"
            progress.update(bar, state=f"{text}  {rate / (now - start):,.0f} images/s")
        profile.step()
    saver.check_losses()
    saver.check_weights()
