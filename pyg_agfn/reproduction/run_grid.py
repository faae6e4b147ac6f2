"""Runs the cells of a grid. Each runs once, even if processes are killed or several run at once."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock, Timeout
from rich.console import Console

from pyg_agfn.datasets import ImageDataset
from pyg_agfn.datasets.bad_data import BadData
from pyg_agfn.datasets.subset_list import read_subset_list
from pyg_agfn.errors import InputError
from pyg_agfn.reproduction.grid import cell_name, same_settings, settings
from pyg_agfn.reproduction.results_file import Record, ResultsFile, pack, unpack
from pyg_agfn.runs.folder import load_answers
from pyg_agfn.runs.json_files import read_json
from pyg_agfn.training import TrainOptions, load_datasets, train_method


def run_grid(
    cells: Sequence[TrainOptions], out: Path, results: ResultsFile, console: Console
) -> list[str]:
    """Trains the cells that have no result yet; returns the names of those that failed.

    A cell's folder is ``out/NAME``. A process that trains a cell holds a lock, and other processes
    take the next cell. The system releases the lock when the process dies. A folder without
    metrics is of a run that was killed; the run resumes from its checkpoint.

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
                _add(results, {"cell": name, "settings": settings(options), **record}, out / name)
                if "error" in record:
                    console.print(f"{title}: {record['error']}", highlight=False)
                    failed.append(name)
        except Timeout:
            console.print(f"{title}: another process trains it", highlight=False)
        except OSError as error:
            raise InputError(f"--out {out}: {error.strerror}; choose another folder") from None
    return failed


def _add(results: ResultsFile, record: Record, folder: Path) -> None:
    try:
        results.add(record)
    except InputError as error:
        raise InputError(
            f"{error}; the run is kept in {folder}, and the same command takes it from there"
        ) from None


def run_cell(options: TrainOptions, folder: Path, console: Console) -> Record:
    """Trains one cell into its folder, unless it is finished; returns its record."""
    if not _is_finished(folder, options):
        train, test = load_datasets(options)
        if folder.exists() and not _is_of(folder, options):
            shutil.rmtree(folder)
        folder.mkdir(parents=True, exist_ok=True)
        try:
            train_method(options, folder, train, test, console)
        except InputError as error:  # such as a loss that is not finite: the grid continues
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


class Subset(NamedTuple):
    """A list of test images.

    Attributes:
        name: The list's file name without its ending; results are recorded under it.
        positions: The positions of its images among the test images.
    """

    name: str
    positions: list[int]


def read_subsets(paths: Sequence[Path], options: TrainOptions, console: Console) -> list[Subset]:
    """The test images of each list; the lists are read before anything is trained.

    Args:
        paths: The lists.
        options: The options of any run of the grid; all have the same test images.
        console: Is told how many of the listed images are test images.

    Raises:
        InputError: Two lists have the same name, a list cannot be read, or none of its images is a
            test image.
    """
    names = [path.stem for path in paths]
    for path in paths:
        if names.count(path.stem) > 1:
            raise InputError(f"--list {path}: another list is called {path.stem}; rename one")
    bads = [BadData(skip=options.skip_bad) for _ in paths]
    lists = [read_subset_list(path, bad) for path, bad in zip(paths, bads, strict=True)]
    if not paths:
        return []
    _, test = load_datasets(options)
    subsets = []
    for path, listed, bad in zip(paths, lists, bads, strict=True):
        if bad.items:
            console.print(f"{path.name}: {len(bad.items)} bad rows are left out", highlight=False)
        subsets.append(Subset(path.stem, positions(test, listed, path, console)))
    return subsets


def measure_subset(cells: Sequence[TrainOptions], subset: Subset, results: ResultsFile) -> None:
    """Adds the accuracy of each finished cell on the test images of a list.

    Raises:
        InputError: The results cannot be read or written, or are of fewer test images.
    """
    for options in cells:
        record = results.find(options)
        if record is None:
            continue
        images = record["metrics"]["test_images"]
        if max(subset.positions) >= images:
            raise InputError(f"{record['cell']}: was measured on {images:,} test images, not all")
        correct = unpack(record["correct"], images)[subset.positions]
        results.add(
            {
                "cell": record["cell"],
                "subset": subset.name,
                "settings": settings(options),
                "images": len(correct),
                "accuracy": float(correct.double().mean()),
                "correct": pack(correct),
            }
        )


def positions(
    test: ImageDataset, listed: dict[str, int], path: Path, console: Console
) -> list[int]:
    """The listed images' positions among the test images.

    The console is told how many are missing, and how many have another label.
    """
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
        f"{path.name}: {len(found)} of {len(listed)} images are in the test split; {differ} have "
        "another label in the list than in the data set, whose label is used",
        highlight=False,
    )
    return found
