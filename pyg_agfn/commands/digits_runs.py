"""The digits runs that ``plot`` draws where no run is named."""

from pathlib import Path

from rich.console import Console

from pyg_agfn.errors import InputError
from pyg_agfn.reproduction.grid import same_settings
from pyg_agfn.runs.json_files import read_json
from pyg_agfn.training import TrainOptions, resume_run, train_methods

DIGITS_METHODS: tuple[str, ...] = ("baseline", "center-loss", "agfn")


def digits_runs(folder: Path, console: Console) -> list[Path]:
    """The digits runs to draw; what is not there is trained, what was interrupted resumed."""
    missing = tuple(method for method in DIGITS_METHODS if find_run(folder, method) is None)
    for method in missing:
        for config in sorted(folder.glob(f"digits-{method}-*/config.json")):
            if is_wanted(config, method):
                console.print(
                    f"training {method} on the digits, from where it was", highlight=False
                )
                resume_run(config.parent, {}, console)
                break
    missing = tuple(method for method in missing if find_run(folder, method) is None)
    if missing:
        console.print(f"training {', '.join(missing)} on the digits first")
        train_methods(TrainOptions.for_dataset("digits", method=missing, out=folder), console)
    found = [find_run(folder, method) for method in DIGITS_METHODS]
    return [run for run in found if run is not None]


def find_run(folder: Path, method: str) -> Path | None:
    """A finished run of a method by the default settings."""
    for metrics in sorted(folder.glob(f"digits-{method}-*/metrics.json")):
        if is_wanted(metrics.with_name("config.json"), method):
            return metrics.parent
    return None


def is_wanted(config: Path, method: str) -> bool:
    """Whether a run is of the method and of the default settings."""
    try:
        return same_settings(
            read_json(config), TrainOptions.for_dataset("digits", method=(method,))
        )
    except InputError:
        return False
