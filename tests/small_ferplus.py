"""A split of FERPlus in its official layout, with a few artificial faces."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image


def write_ferplus(
    folder: Path, faces: Iterable[np.ndarray], votes: Iterable[Sequence[int]], first: int = 0
) -> None:
    """Writes images from ``fer0000000.png`` on, or from another number, and their ``label.csv``."""
    folder.mkdir(parents=True)
    with (folder / "label.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        for i, (face, given) in enumerate(zip(faces, votes, strict=True), first):
            Image.fromarray(face).save(folder / f"fer{i:07d}.png")
            writer.writerow([f"fer{i:07d}.png", "(0, 0, 48, 48)", *given])
