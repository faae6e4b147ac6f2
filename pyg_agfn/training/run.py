"""A training run from options to folders: data, one model a method, a table of all."""

import dataclasses
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from lightning.fabric import Fabric
from lightning.fabric.loggers.csv_logs import CSVLogger
from lightning.fabric.loggers.logger import Logger
from rich.console import Console
from rich.table import Table

from pyg_agfn.datasets import MNIST, RAFDB, Digits, FERPlus, ImageDataset, ImageFolder
from pyg_agfn.datasets.bad_data import read_all, unique, write_skipped
from pyg_agfn.datasets.ferplus import LabelMode
from pyg_agfn.datasets.image_survey import note_on_brightness
from pyg_agfn.device import check_device
from pyg_agfn.distributed import launched_processes, rank
from pyg_agfn.errors import InputError, InterruptedRunError, as_path, printable
from pyg_agfn.extras import missing
from pyg_agfn.runs.files import read_json, refuse_links, write_json
from pyg_agfn.runs.folder import run_label, save_answers, save_model
from pyg_agfn.training.checkpoint import FILE as CHECKPOINT
from pyg_agfn.training.few_images import changed_defaults, fit_to_images
from pyg_agfn.training.fit import Trained, fit
from pyg_agfn.training.interruption import raised_signals
from pyg_agfn.training.options import TrainOptions
from pyg_agfn.training.precision import fabric_precision
from pyg_agfn.training.saved_options import load_options


def train_methods(options: TrainOptions, console: Console) -> list[dict[str, Any]]:
    """Trains every method of the options on the same images, labels and order.

    Returns each run's metrics, as its ``metrics.json`` holds them.

    Raises:
        InputError: Data or device are not as the options say; nothing has been written then.
    """
    fabric = make_fabric(options)  # a device that is not there is said before images are read
    if fabric.global_rank:
        console.quiet = True
    train, test = load_datasets(options)
    console.print(f"train {train}\ntest  {test}", soft_wrap=True)
    print_notes(console, train, test)
    options = _fit_to(train, options, console)
    results = []
    for method in options.method:
        # Of several processes the first one writes.
        name = _run_name(options, method)
        folder = make_run_folder(options.out, name) if fabric.global_rank == 0 else None
        run_options = dataclasses.replace(options, method=(method,))
        try:
            results.append(train_method(run_options, folder, train, test, console))
        except InterruptedRunError as interruption:
            left = options.method[options.method.index(method) + 1 :]
            if left:
                way = f"; for {' '.join(left)}: --config {folder}/config.json --method"
                interruption.args = (f"{interruption}{way} {' '.join(left)}",)
            raise
        console.print(f"{method}: written to {folder}", soft_wrap=True, highlight=False)
    console.print(results_table(results))
    return results


def resume_run(folder: Path, given: dict[str, Any], console: Console) -> dict[str, Any]:
    """Goes on with a run that was killed or interrupted; returns what it measured.

    The finished run is that of one that was never stopped, to the bit on a CPU with as many
    threads. Killed before its first checkpoint, it begins anew.

    Args:
        folder: Its run folder.
        given: Options of :data:`pyg_agfn.training.options.PLACES` that are others now.
        console: Where it is told.

    Raises:
        InputError: The folder is of no run, its data are others now, or another process is at it.
    """
    folder = as_path(folder, "run folder")
    config = folder / "config.json"
    if not config.is_file():
        raise InputError(f"--resume {folder}: there is no run, as it has no config.json")
    options = load_options(config)
    options = dataclasses.replace(options, **given)
    metrics = folder / "metrics.json"
    if metrics.is_file():
        console.print(f"{folder}: is finished", soft_wrap=True, highlight=False)
        (folder / CHECKPOINT).unlink(missing_ok=True)  # of a run killed at its last moment
        result = read_json(metrics)
        try:
            console.print(results_table([result]))
        except (AttributeError, KeyError, TypeError, ValueError, ArithmeticError):
            raise InputError(f"{metrics}: does not hold what a run measures") from None
        return result
    fabric = make_fabric(options)
    if fabric.global_rank:
        console.quiet = True
    train, test = load_datasets(options)
    print_notes(console, train, test)
    result = train_method(options, folder, train, test, console)
    console.print(results_table([result]))
    return result


def train_method(
    options: TrainOptions,
    folder: Path | None,
    train: ImageDataset,
    test: ImageDataset,
    console: Console,
) -> dict[str, Any]:
    """Trains the one method of the options into a folder; returns what it measured.

    Defaults among the options are fitted to the number of images
    (:func:`~pyg_agfn.training.fit_to_images`). It continues from where its checkpoint is, if the
    folder has one. Of several processes the first one writes;
    the others need the folder to go on only.

    Raises:
        InputError: Another process is at it, or the training stops.
        InterruptedRunError: A signal has come; the run is saved.
    """
    options = _fit_to(train, options, console)
    folder = None if folder is None else as_path(folder, "run folder")
    if len(options.method) != 1:
        raise InputError(f"train_method trains one method, got {' '.join(options.method)}")
    (method,) = options.method
    if rank() or folder is None:
        fabric = make_fabric(options)
        return fit(fabric, options, method, train, test, console, folder).metrics
    refuse_links(folder.iterdir())
    try:
        # Once trained it is measured and written; a signal then ends it where it is.
        with FileLock(folder / ".lock", timeout=0), raised_signals(interrupted(folder)):
            # The logger's file is written anew, from the checkpoint.
            shutil.rmtree(folder / "log", ignore_errors=True)
            logger = CSVLogger(folder, name="log", version="", flush_logs_every_n_steps=1)
            if not (folder / "config.json").exists():
                options.save(folder / "config.json")
            if skipped := unique([*train.skipped, *test.skipped]):
                write_skipped(folder / "skipped.csv", skipped)
                console.print(
                    f"left out: {len(skipped)} bad rows or images, see {folder}/skipped.csv",
                    soft_wrap=True,
                    highlight=False,
                )
            fabric = make_fabric(options, logger)
            trained = fit(fabric, options, method, train, test, console, folder)
            save_run(folder, trained)
            if line := missing("matplotlib"):
                console.print(f"no picture of the learning curve: {line}", soft_wrap=True)
            (folder / CHECKPOINT).unlink(missing_ok=True)
    except Timeout:
        raise InputError(
            f"{folder}: another process is training this run; wait for it, or end it"
        ) from None
    except OSError as error:
        raise InputError(
            f"{folder}: {error.strerror}; make room, then train_pyg.py --resume {folder} resumes it"
        ) from None
    if options.profile and not (folder / "profile.json").is_file():
        console.print("no profile: an epoch has fewer than four steps")
    return trained.metrics


def _fit_to(train: ImageDataset, options: TrainOptions, console: Console) -> TrainOptions:
    """The options with their defaults fitted to the training images; says what has changed."""
    fitted = fit_to_images(options, len(train), launched_processes()[1])
    if changed := changed_defaults(options, fitted):
        console.print(
            f"by default for {len(train):,} training images: {changed}",
            soft_wrap=True,
            highlight=False,
        )
    return fitted


def interrupted(folder: Path) -> str:
    """What is said where a signal ends the run outside of its steps."""
    return f"interrupted; --resume {folder} goes on"


def make_fabric(options: TrainOptions, logger: Logger | None = None) -> Fabric:
    """Device and precision, and where epochs are logged; joins the processes of torchrun.

    Raises:
        InputError: The device is unknown or not there, or the batch cannot be divided among the
            processes.
    """
    kind, index = check_device(options.device)
    here, processes = launched_processes()
    if processes > 1:
        if index is not None:
            raise InputError(
                f"--device {options.device}: each process takes one; leave out :{index}"
            )
        if options.batch_size % processes or options.batch_size < 2 * processes:
            raise InputError(
                f"--batch-size {options.batch_size}: must be a multiple of the {processes} "
                "processes, with at least two images for each"
            )
    fabric = Fabric(
        accelerator=kind,
        devices=[index] if index is not None and kind == "cuda" else here,
        num_nodes=processes // here,
        strategy="ddp" if processes > 1 else "auto",
        **fabric_precision(options.precision, kind),
        loggers=[] if logger is None else [logger],
    )
    fabric.launch()
    return fabric


def load_datasets(
    options: TrainOptions, eval_label_mode: LabelMode | None = None
) -> tuple[ImageDataset, ImageDataset]:
    """Training images, with wrong labels where the options ask for them, and test images.

    Args:
        options: Of the run.
        eval_label_mode: Label mode of FERPlus's test images, where it is not the options'.

    Raises:
        InputError: The data set is not as the options say.
        BadDataError: Rows or images of either are bad, and are not to be skipped.
    """
    root = options.root
    places: dict[str, Any] = {
        "image_size": options.image_size,
        "cache_dir": options.cache,
        "resize": options.resize,
    }
    chosen: dict[str, Any] = {**places, "skip_bad": options.skip_bad}
    readers: list[Callable[[], ImageDataset]]
    if options.dataset == "digits" or root is None:
        readers = [partial(Digits, train, **places) for train in (True, False)]
    elif options.dataset == "mnist":
        readers = [partial(MNIST, root, train, **places) for train in (True, False)]
    elif options.dataset == "ferplus":
        eval_label_mode = eval_label_mode or options.label_mode
        readers = [
            partial(FERPlus, root, "train", label_mode=options.label_mode, **chosen),
            partial(FERPlus, root, options.eval_split, label_mode=eval_label_mode, **chosen),
        ]
    elif options.dataset == "rafdb":
        readers = [partial(RAFDB, root, s, **chosen) for s in ("train", "test")]
    else:
        readers = [partial(ImageFolder, root, s, **chosen) for s in ("train", "test")]
    train, test = read_all(readers)

    if options.train_size is not None:
        if options.train_size > len(train) and "train_size" not in options.defaulted:
            raise InputError(
                f"--train-size {options.train_size}: there are {len(train)} training images"
            )
        generator = torch.Generator().manual_seed(options.seed)
        drawn = torch.randperm(len(train), generator=generator)[: options.train_size]
        train = train.subset(drawn.sort().values)
    if options.noise_file is not None:
        others = [*test.names, *test.set_aside]
        train = train.with_noise_file(
            options.noise_file, options.skip_bad, options.noise_labels, others
        )
    elif options.noise:
        train = train.with_noise(options.noise, options.seed)
    return train, test


def print_notes(console: Console, train: ImageDataset, test: ImageDataset) -> None:
    """Says what the user should know of the images and labels, each line once."""
    notes = [*train.notes, *test.notes]
    notes += [note for part in (train, test) for note in note_on_brightness(part.images)]
    if changed := train.describe_label_list():
        notes.append(changed)
    for note in dict.fromkeys(notes):
        console.print(printable(note), soft_wrap=True, highlight=False)


def make_run_folder(out: Path, name: str) -> Path:
    """A new folder ``out/name``, or ``out/name-2`` ... where there is one: no run is overwritten.

    Raises:
        InputError: The folder cannot be made.
    """
    out, attempt = as_path(out, "out"), 1
    while True:
        folder = out / (name if attempt == 1 else f"{name}-{attempt}")
        try:
            folder.mkdir(parents=True)
            return folder
        except FileExistsError:
            if not folder.is_dir():
                raise InputError(f"--out {out}: {folder} is in the way, and is no folder") from None
            attempt += 1
        except OSError as error:
            raise InputError(f"--out {out}: {error.strerror}; choose another folder") from None


def save_run(folder: Path, trained: Trained) -> None:
    """Model, bank, learning curves and, last, the metrics: where they are, the run was finished."""
    save_model(folder, trained.card, trained.model, trained.references)
    save_answers(folder, trained.answers)
    if not missing("matplotlib"):
        from pyg_agfn.visualization.learning_curves import plot_learning_curves

        label = run_label(trained.card.method, trained.metrics["recipe"])
        bank = {label: trained.metrics["accuracy"]["bank"]}
        plot_learning_curves({label: trained.history}, folder / "learning_curve.png", bank=bank)
    write_json(folder / "metrics.json", trained.metrics)


def results_table(results: list[dict[str, Any]]) -> Table:
    """Every method's metrics side by side."""
    first = results[0]
    table = Table(
        box=None,
        padding=(0, 1, 0, 0),  # all columns fit into 80 characters
        title=f"{printable(first['dataset'])}, {first['noise']:.0%} wrong labels, "
        f"{first['epochs']:,} epochs: "
        f"accuracy in % on {first['test_images']:,} {printable(first['split'])} images",
        caption="bank: each image with training images only; shuffled: in random test batches, "
        "mean ± std; single: by itself; leak: points that sorting the batches by class would add; "
        "memorized: wrong training labels that the model predicts",
    )
    table.add_column("method", no_wrap=True)
    for heading in ("bank", "shuffled", "single", "leak", "memorized", "α", "β", "s/epoch"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in results:
        accuracy, memorized = row["accuracy"], row["memorized"]
        table.add_row(
            printable(run_label(row["method"], row.get("recipe"))),
            _percent(accuracy["bank"]),
            f"{_percent(accuracy['shuffled']['mean'])} ± {_percent(accuracy['shuffled']['std'])}",
            _percent(accuracy["single"]),
            f"{100 * row['leak']:+.1f}",
            "-" if memorized is None else f"{100 * memorized:.1f}",
            *("-" if row[name] is None else f"{row[name]:.3f}" for name in ("alpha", "beta")),
            f"{row['seconds_per_epoch']:.1f}",
        )
    return table


def _percent(share: float) -> str:
    return f"{100 * share:.2f}"


def _run_name(options: TrainOptions, method: str) -> str:
    noise = "list" if options.noise_file else f"{options.noise:g}"
    label = run_label(method, options.recipe)
    return f"{options.dataset}-{label}-noise{noise}-seed{options.seed}"
