"""What ``export`` does once its command line is read."""

from argparse import Namespace
from pathlib import Path

import numpy as np
import torch

from pyg_agfn.cli import warn
from pyg_agfn.datasets.image_file import decode
from pyg_agfn.datasets.image_listing import Ignored
from pyg_agfn.errors import InputError, printable
from pyg_agfn.export.exporter import CheckImages, check_target, export_model
from pyg_agfn.export.inference_model import InferenceModel
from pyg_agfn.prediction import find_images, refuse_own_transforms
from pyg_agfn.runs.folder import Run, load_run, refuse_idle_backbone
from pyg_agfn.training.run_data import load_run_data
from pyg_agfn.training.saved_options import load_options

#: Most images of a folder that a file is checked on.
MOST_IMAGES = 64


def export_run(arguments: Namespace) -> None:
    """Exports a run, and prints what was written and how it compares.

    Raises:
        InputError: The run cannot be read or exported, or the file cannot be written.
    """
    check_target(arguments.out, arguments.precision, arguments.overwrite)
    run = load_run(arguments.run, arguments.backbone)
    refuse_idle_backbone([arguments.run], arguments.backbone)
    report = export_model(
        InferenceModel(run.model, None if run.references is None else run.references.bank),
        run.config,
        arguments.out,
        find_check_images(run, arguments.images, arguments.root, arguments.cache),
        precision=arguments.precision,
        dataset=_dataset_of(run),
        overwrite=arguments.overwrite,
    )
    print(printable_lines(str(report)))


def printable_lines(text: str) -> str:
    """Each line of a text as it may reach a terminal."""
    return "\n".join(printable(line) for line in text.splitlines())


def find_check_images(
    run: Run, folder: Path | None = None, root: str | None = None, cache: Path | None = None
) -> CheckImages:
    """What the run's file is checked on.

    Args:
        run: A run read back.
        folder: Images of the user's; if not given, the run's test images where they can be read,
            else those of its bank, else random ones, which is said.
        root: Folder of the data set, where it is not as in training.
        cache: Folder for decoded images.

    Raises:
        InputError: The folder has no image that can be read, or ``root`` not the data set.
    """
    if folder is not None:
        return _images_of(run, folder)
    if not run.config.own_transforms:
        try:
            given = {} if root is None else {"root": root}
            _, _, test = load_run_data(run, given, cache)
            return CheckImages(test.images, "test images", test.true_labels)
        except InputError as error:
            if root is not None:
                raise
            warn(f"the run's test images cannot be read ({error})")
    if run.references is not None:
        return CheckImages(run.references.images, "images of the bank")
    warn("checked on random pixels; --images FOLDER gives it images")
    return CheckImages.random(run.config)


def _images_of(run: Run, folder: Path) -> CheckImages:
    refuse_own_transforms(run)
    config, ignored = run.config, Ignored()
    files = find_images([folder], ignored)[:MOST_IMAGES]
    size = (config.height, config.width)
    how = (size, config.channels, config.resize, config.white, config.interpolation)
    pixels = [decode(file, *how) for file in files]
    return CheckImages(torch.from_numpy(np.stack(pixels)), f"images of {folder}")


def _dataset_of(run: Run) -> str | None:
    """The name of the data set that the run was trained on, where it is known."""
    path = run.folder / "config.json"
    if not path.exists():
        return None
    name = load_options(path).dataset
    return None if name in ("custom", "folder") else name
