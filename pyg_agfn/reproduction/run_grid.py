"""Runs the cells of a grid: each once, whatever is killed or started beside it."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from filelock import FileLock, Timeout
from rich.console import Console

from pyg_agfn.datasets import ImageDataset
from pyg_agfn.datasets.bad_data import BadData
from pyg_agfn.datasets.subset_list import read_subset_list
from pyg_agfn.errors import InputError
from pyg_agfn.reproduction.grid import cell_name, same_settings, settings
from pyg_agfn.reproduction.results_file import Record, ResultsFile, pack
from pyg_agfn.run_files import read_json
from pyg_agfn.run_folder import load_answers
from pyg_agfn.training import TrainOptions, load_datasets, train_method


def run_grid(
    cells: Sequence[TrainOptions], out: Path, results: ResultsFile, console: Console
) -> list[str]:
    """Trains what has no result yet; returns the names of the cells that failed.

    A cell's folder is ``out/NAME``. While a process trains it, it holds a lock that the system
    takes back when the process dies, so another goes on with the next cell in the meantime. A
    folder without metrics is of a run that was killed, and goes on from its checkpoint.

    Raises:
        InputError: Data or device are not as the options say, or nothing can be written.
    """
    failed = []
    for number, options in enumerate(cells, 1):
        name = cell_name(options)
        title = f"{number}/{len(cells)} {name}"
        if results.has(options):
            console.print(f"{title}: has a result", highlight=False)
            continue
        try:
            (out / "locks").mkdir(parents=True, exist_ok=True)
            with FileLock(out / "locks" / f"{name}.lock", timeout=0):
                if results.has(options):  # by another process, a moment ago
                    continue
                console.print(title, highlight=False)
                record = run_cell(options, out / name, console)
                results.add({"cell": name, "settings": settings(options), **record})
                if "error" in record:
                    console.print(f"{title}: {record['error']}", highlight=False)
                    failed.append(name)
        except Timeout:
            console.print(f"{title}: another process is at it", highlight=False)
        except OSError as error:
            raise InputError(f"--out {out}: {error.strerror}; choose another folder") from None
    return failed


def run_cell(options: TrainOptions, folder: Path, console: Console) -> Record:
    """Trains one cell into its folder, unless it is there; returns its record."""
    if not _is_finished(folder, options):
        train, test = load_datasets(options)
        if folder.exists() and not _is_of(folder, options):
            shutil.rmtree(folder)
        folder.mkdir(parents=True, exist_ok=True)
        try:
            train_method(options, folder, train, test, console)
        except InputError as error:  # such as a loss that is no longer finite: the grid goes on
            return {"error": str(error)}
    metrics = read_json(folder / "metrics.json")
    return {"metrics": metrics, "correct": pack(load_answers(folder).correct)}


def _is_finished(folder: Path, options: TrainOptions) -> bool:
    return (folder / "metrics.json").is_file() and _is_of(folder, options)


def _is_of(folder: Path, options: TrainOptions) -> bool:
    try:
        return same_settings(json.loads((folder / "config.json").read_text()), options)
    except (OSError, ValueError):
        return False


def measure_subset(
    cells: Sequence[TrainOptions], out: Path, path: Path, results: ResultsFile, console: Console
) -> None:
    """Adds the accuracy of each finished cell on the test images of a list.

    Raises:
        InputError: The list cannot be read, or has none of the test images.
    """
    bad = BadData(skip=cells[0].skip_bad)
    listed = read_subset_list(path, bad)
    if bad.items:
        console.print(f"{path.name}: {len(bad.items)} bad rows are left out", highlight=False)
    found: dict[tuple[str, str], list[int]] = {}
    for options in cells:
        name = cell_name(options)
        if not results.has(options):
            continue
        split = (options.dataset, options.eval_split)
        if split not in found:
            _, test = load_datasets(options)
            found[split] = positions(test, listed, path, console)
        answers = load_answers(out / name)
        correct = answers.correct[found[split]]
        results.add(
            {
                "cell": name,
                "subset": path.stem,
                "settings": settings(options),
                "images": len(correct),
                "accuracy": float(correct.double().mean()),
                "correct": pack(correct),
            }
        )


def positions(
    test: ImageDataset, listed: dict[str, int], path: Path, console: Console
) -> list[int]:
    """Where the listed images are among the test images; says how many are not, or differ."""
    by_stem = {Path(name).stem: i for i, name in enumerate(test.names)}
    found = [by_stem[stem] for stem in listed if stem in by_stem]
    if not found:
        raise InputError(
            f"{path}: none of its {len(listed)} images is among the {len(test)} test images "
            f"({test.names[0]}, ...); is it of another split?"
        )
    differ = sum(
        int(test.labels[by_stem[stem]]) != label
        for stem, label in listed.items()
        if stem in by_stem
    )
    console.print(
        f"{path.name}: {len(found)} of {len(listed)} images are in the test split; the list's "
        f"label is another one for {differ}, where the data set's counts",
        highlight=False,
    )
    return found
