"""Measures finished runs on another split of their data set, without training again."""

from collections.abc import Sequence
from pathlib import Path

from pyg_agfn.evaluation import HEADLINE, mean_class_accuracy
from pyg_agfn.reproduction.grid import cell_name, same_settings, settings
from pyg_agfn.reproduction.results_file import ResultsFile, pack
from pyg_agfn.training import TrainingResult, TrainOptions, load_datasets


def measure_split(
    cells: Sequence[TrainOptions], split: str, out: Path, results: ResultsFile
) -> None:
    """Adds the inductive accuracy of each finished cell on the images of another split.

    A cell whose run is in another folder, as on another machine, is left to that one.

    Args:
        cells: The runs.
        split: ``eval_split`` of the images; the records have it as the name of their subset.
        out: Folder of the run folders.
        results: Where it is recorded.

    Raises:
        InputError: The images or a run folder cannot be read, or nothing can be written.
    """
    known = [record for record in results.records() if record.get("subset") == split]
    images = None
    for options in cells:
        folder = out / cell_name(options)
        measured = any(same_settings(record["settings"], options) for record in known)
        if measured or not (folder / "metrics.json").is_file() or not results.has(options):
            continue
        if images is None:
            _, images = load_datasets(options.changed(eval_split=split))
        logits = TrainingResult.load(folder).evaluate(images).outcomes[HEADLINE].logits.cpu()
        correct = logits.argmax(1) == images.labels
        results.add(
            {
                "cell": cell_name(options),
                "subset": split,
                "settings": settings(options),
                "images": len(correct),
                "accuracy": float(correct.double().mean()),
                "class_accuracy": mean_class_accuracy(logits, images.labels),
                "correct": pack(correct),
            }
        )
