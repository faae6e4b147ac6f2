"""Features of the same images by several runs: the data of Figures 1 and 4."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pyg_agfn.datasets import ImageDataset
from pyg_agfn.datasets.batches import Batches
from pyg_agfn.errors import InputError, as_path, printable
from pyg_agfn.evaluation import extract_features
from pyg_agfn.evaluation.separation import Separation, measure_separation
from pyg_agfn.generators import generator_for
from pyg_agfn.nn import AGFNClassifier
from pyg_agfn.runs.folder import Run, load_run, refuse_idle_backbone
from pyg_agfn.training import TrainOptions, make_fabric
from pyg_agfn.training.run_data import load_run_data
from pyg_agfn.visualization.embedding import FEWEST, SEED_LIMIT, embed
from pyg_agfn.visualization.run_titles import run_titles


@dataclass(frozen=True)
class Panel:
    """One run's features of some images.

    Attributes:
        title: The method, and for a graph method whether before or after normalization.
        positions: The positions by t-SNE, (n, 2).
        separation: Figures of the feature space itself, with the true labels; None if there is
            nothing to measure.
        note: A remark, such as why there is nothing to measure.
    """

    title: str
    positions: NDArray[Any]
    separation: Separation | None
    note: str = ""

    def figures(self) -> list[str]:
        """The separation as short texts, and the note."""
        found = self.separation
        figures = [self.note] if self.note else []
        if found is not None:
            figures += [
                f"intra/inter {found.variance_ratio:.2f}",
                f"silhouette {found.silhouette:.2f}",
                f"{found.neighbours}-NN {found.neighbour_agreement:.1%}",
            ]
        return figures


@dataclass(frozen=True)
class PanelRow:
    """The same images in every panel.

    Attributes:
        name: ``"test images"`` or ``"training images"``.
        images: The images, with the labels of training and the true labels.
        panels: One for each run, two for a graph method.
    """

    name: str
    images: ImageDataset
    panels: list[Panel]

    def as_json(self) -> dict[str, Any]:
        """The numbers behind the picture."""
        return {
            "images": self.name,
            "classes": list(self.images.classes),
            "names": self.images.names,
            "labels": self.images.labels.tolist(),
            "true_labels": self.images.true_labels.tolist(),
            "panels": [
                {
                    "title": panel.title,
                    "separation": panel.separation and asdict(panel.separation),
                    "note": panel.note,
                    "positions": [[round(float(v), 3) for v in xy] for xy in panel.positions],
                }
                for panel in self.panels
            ],
        }


def compare_features(
    folders: Sequence[Path],
    root: str | None,
    points: int,
    seed: int = 0,
    backbone: str | None = None,
) -> list[PanelRow]:
    """A row of test images and a row of training images, with the features of each run.

    A graph method's test images are normalized with its bank. Its training images, some of which
    are in the bank, are normalized in random batches, as in training.

    Args:
        folders: Finished runs on the same images with the same labels.
        root: Folder of the data set, if it has moved since training.
        points: Most images in a row.
        seed: Seed of the choice of images and of t-SNE, at least 0 and below 2^32.
        backbone: ``module:Class`` of runs whose backbone is the user's own.

    Raises:
        InputError: The seed is out of range, a run cannot be read, its features are not finite, or
            the runs have different images or labels.
    """
    if not 0 <= seed < SEED_LIMIT:
        raise InputError(f"--seed must be 0 to {SEED_LIMIT - 1}, got {seed}")
    refuse_idle_backbone(folders, backbone)
    runs = [load_run(folder, backbone) for folder in folders]
    titles = run_titles(runs)
    given = {} if root is None else {"root": root}
    first, train, test = load_run_data(runs[0], given)
    every = [first]
    for run in runs[1:]:
        options, other, other_test = load_run_data(run, given)
        every.append(options)
        same = other.names == train.names and torch.equal(other.labels, train.labels)
        if not same or other_test.names != test.names:
            raise InputError(
                f"{run.folder}: has other images or labels than {runs[0].folder}; train both with "
                "the same --dataset, --train-size, --noise and --seed"
            )
    rows = []
    for name, images in (("test images", test), ("training images", train)):
        generator = generator_for("pictures", seed)
        drawn = torch.randperm(len(images), generator=generator)[: min(points, len(images))]
        part = images.subset(drawn.sort().values)
        panels = []
        for run, title, options in zip(runs, titles, every, strict=True):
            of_training = name == "training images"
            for step, x in _features(run, options, part, of_training, seed).items():
                if not bool(x.isfinite().all()):
                    raise InputError(
                        f"{run.folder}: the features of its {name} are no numbers; it is broken"
                    )
                panels.append(_panel(title + step, x, part.true_labels, seed))
        rows.append(PanelRow(name, part, panels))
    return rows


def caption(rows: Sequence[PanelRow]) -> str:
    """The figures of each panel, one line each."""
    lines = []
    for row in rows:
        for panel in row.panels:
            found = panel.separation
            figures = [panel.note] if panel.note else []
            if found is not None:
                figures += [
                    f"intra-/inter-class variance {found.variance_ratio:.2f}",
                    f"silhouette {found.silhouette:.2f}",
                    f"{found.neighbours} nearest neighbours of the same class "
                    f"{found.neighbour_agreement:.1%}",
                ]
            lines.append(printable(f"{row.name}, {panel.title}: {', '.join(figures)}"))
    return "\n".join(lines)


def save_numbers(rows: Sequence[PanelRow], path: Path) -> None:
    """Writes the numbers behind the picture as JSON."""
    as_path(path, "path").write_text(
        json.dumps([row.as_json() for row in rows]) + "\n", encoding="utf-8"
    )


def _panel(title: str, x: Tensor, true_labels: Tensor, seed: int) -> Panel:
    positions = embed(x, seed)
    notes = []
    separation = None
    try:
        separation = measure_separation(x, true_labels)
    except ValueError as reason:
        notes.append(str(reason))
    different = len(np.unique(positions, axis=0))
    if 1 < different < FEWEST:
        notes.append(f"{different} different features: principal components, no t-SNE")
    return Panel(title, positions, separation, "; ".join(notes))


@torch.no_grad()
def _features(
    run: Run, options: TrainOptions, images: ImageDataset, of_training: bool, seed: int
) -> dict[str, Tensor]:
    """The inputs of the classifier; for a graph method also those of its normalizer, by step."""
    fabric = make_fabric(options)
    model = run.model.to(fabric.device)
    x = extract_features(model, Batches(images, 256, fabric.device), fabric.autocast())
    if not isinstance(model, AGFNClassifier) or run.references is None:
        return {"": x.cpu()}
    projected = model.agfn.projector(x)
    if of_training:
        order = torch.randperm(len(x), generator=generator_for("pictures", seed))
        order = order.to(x.device)
        parts = [model.agfn(x[part]) for part in order.split(run.config.batch_size)]
        normalized = torch.empty_like(torch.cat(parts)).index_copy_(0, order, torch.cat(parts))
    else:
        bank = run.references.bank.to(fabric.device)
        normalized = torch.cat([bank(part) for part in x.split(1024)])
    return {", before": projected.cpu(), ", after": normalized.cpu()}
