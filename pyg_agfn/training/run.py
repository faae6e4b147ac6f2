"""Training runs from options to folders: data, one model a method, a table of all."""

import dataclasses
from pathlib import Path
from typing import Any

from rich.console import Console

from pyg_agfn.choices import CUSTOM
from pyg_agfn.datasets import ImageDataset
from pyg_agfn.datasets.image_survey import note_on_brightness
from pyg_agfn.errors import InputError, InterruptedRunError, as_path, printable
from pyg_agfn.evaluation.explain_results import explain_results
from pyg_agfn.evaluation.results_table import results_table
from pyg_agfn.runs.json_files import read_json
from pyg_agfn.training.checkpoint import FILE as CHECKPOINT
from pyg_agfn.training.data import load_datasets
from pyg_agfn.training.options import TrainOptions
from pyg_agfn.training.saved_options import load_options
from pyg_agfn.training.setup import make_fabric
from pyg_agfn.training.trainer import Trainer
from pyg_agfn.training.weights import with_interpolation


def train_methods(options: TrainOptions, console: Console) -> list[dict[str, Any]]:
    """Trains every method of the options on the same images, labels and order.

    Returns each run's metrics, as its ``metrics.json`` holds them.

    Raises:
        InputError: Data or device are not as the options say; nothing has been written then.
    """
    fabric = make_fabric(options)  # a device that is not there is said before images are read
    if fabric.global_rank:
        console.quiet = True
    options = with_interpolation(options)
    train, test = load_datasets(options)
    console.print(f"train {train}\ntest  {test}", soft_wrap=True)
    print_notes(console, train, test)
    results = []
    for method in options.method:
        # Of several processes the first one writes.
        folder = None
        if fabric.global_rank == 0:
            folder = make_run_folder(options.out, _run_name(options, method))
        try:
            results.append(train_method(options.for_method(method), folder, train, test, console))
        except InterruptedRunError as interruption:
            left = options.method[options.method.index(method) + 1 :]
            if left:
                way = f"; for {' '.join(left)}: --config {folder}/config.json --method"
                interruption.args = (f"{interruption}{way} {' '.join(left)}",)
            raise
        console.print(f"{method}: written to {folder}", soft_wrap=True, highlight=False)
    console.print(results_table(results))
    for sentence in explain_results(results):
        console.print(sentence, soft_wrap=True, highlight=False)
    return results


def train_method(
    options: TrainOptions,
    folder: Path | None,
    train: ImageDataset,
    test: ImageDataset,
    console: Console,
) -> dict[str, Any]:
    """Trains the one method of the options (:class:`~pyg_agfn.Trainer`); returns its metrics."""
    return Trainer.from_options(options, console).fit(train, test, folder).metrics


def resume_run(folder: Path, given: dict[str, Any], console: Console) -> dict[str, Any]:
    """Resumes a run that was killed or interrupted; returns what it measured.

    The finished run is bitwise identical to one that was never stopped, on a CPU with as many
    threads. Killed before its first checkpoint, it begins again.

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
    if options.backbone != CUSTOM and "backbone" in given:
        raise InputError(f"--backbone has no effect on a run of {options.backbone}: leave it out")
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


def _run_name(options: TrainOptions, method: str) -> str:
    plain = not options.noise or options.noise_kind == "symmetric"
    kind = "" if plain else f"-{options.noise_kind}"
    noise = "list" if options.noise_file else f"{options.noise:g}{kind}"
    return f"{options.dataset}-{method}-noise{noise}-seed{options.seed}"
