"""The titles of runs in a picture."""

from collections import Counter
from collections.abc import Sequence

from pyg_agfn.runs.folder import Run, label_of_folder


def run_titles(runs: Sequence[Run]) -> list[str]:
    """Each run's method, followed by its folder if several runs have the same method.

    Raises:
        InputError: A run's ``config.json`` cannot be read.
    """
    labels = [label_of_folder(run.folder, run.config) for run in runs]
    count = Counter(labels)
    return [
        label if count[label] == 1 else f"{label} ({run.folder})"
        for run, label in zip(runs, labels, strict=True)
    ]
