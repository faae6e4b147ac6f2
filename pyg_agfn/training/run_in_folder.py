"""A training whose state and result are kept in a run folder."""

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock, Timeout
from lightning.fabric.loggers.csv_logs import CSVLogger
from lightning.fabric.loggers.logger import Logger
from rich.console import Console

from pyg_agfn.datasets.bad_data import BadItem, unique, write_skipped
from pyg_agfn.errors import InputError, as_path
from pyg_agfn.extras import missing
from pyg_agfn.runs.json_files import refuse_links
from pyg_agfn.training.checkpoint import FILE as CHECKPOINT
from pyg_agfn.training.interruption import raised_signals
from pyg_agfn.training.options import PLACES, TrainOptions
from pyg_agfn.training.result import TrainingResult
from pyg_agfn.training.saved_options import load_options


def run_in_folder(
    folder: Path,
    options: TrainOptions,
    skipped: list[BadItem],
    console: Console,
    train: Callable[[Logger], TrainingResult],
) -> TrainingResult:
    """Trains, and writes all that belongs to the run into its folder.

    Args:
        folder: It is there. With a checkpoint in it the training is resumed.
        options: Of the run.
        skipped: Rows and images that are left out of the data.
        console: Where it is told.
        train: The training; it is given where its epochs are logged.

    Raises:
        InputError: Another process is at it, nothing can be written, or the training stops.
        InterruptedRunError: A signal has come; the run is saved.
    """
    refuse_links(folder.iterdir())
    try:
        # Once trained it is measured and written; a signal then ends it where it is.
        with FileLock(folder / ".lock", timeout=0), raised_signals(interrupted(folder)):
            # The logger's file is written again, from the checkpoint.
            shutil.rmtree(folder / "log", ignore_errors=True)
            logger = CSVLogger(folder, name="log", version="", flush_logs_every_n_steps=1)
            if not (folder / "config.json").exists():
                options.save(folder / "config.json")
            if skipped := unique(skipped):
                write_skipped(folder / "skipped.csv", skipped)
                console.print(
                    f"left out: {len(skipped)} bad rows or images, see {folder}/skipped.csv",
                    soft_wrap=True,
                    highlight=False,
                )
            result = train(logger)
            if line := missing("matplotlib"):
                console.print(f"no picture of the learning curve: {line}", soft_wrap=True)
            else:
                result.draw_learning_curve(folder / "learning_curve.png")
            result.write(folder)
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
    return result


def interrupted(folder: Path) -> str:
    """What is said where a signal ends the run outside of its steps."""
    return f"interrupted; train_pyg.py --resume {folder} continues it"


def make_resumable_folder(folder: Path | str, options: TrainOptions) -> Path:
    """The run folder, for a new run or for one of these options that is not finished.

    Raises:
        InputError: It cannot be made, holds a finished run, or one of other options.
    """
    folder = as_path(folder, "folder")
    if (folder / "metrics.json").exists():
        raise InputError(f"{folder}: there is a finished run; choose another folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: {error.strerror}; choose another folder") from None
    if (folder / "config.json").exists():
        before = load_options(folder / "config.json")
        saved = options.as_saved()
        names = {field.name for field in dataclasses.fields(options)}
        for name in names - {*PLACES, "profile", "keep"}:
            if getattr(before, name) != getattr(saved, name):
                raise InputError(
                    f"{folder}: holds a run of {name} {getattr(before, name)!r} that is not "
                    "finished; resume it by the same options, or choose another folder"
                )
    return folder
