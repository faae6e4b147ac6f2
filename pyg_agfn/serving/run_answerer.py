"""A run folder's model as the server asks it."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from pyg_agfn.datasets.image_file import ImageBytes, decode
from pyg_agfn.datasets.image_pixels import Pixels
from pyg_agfn.prediction import Prediction, classify, refuse_own_transforms
from pyg_agfn.runs.folder import Run


class RunAnswerer:
    """Answers by a run folder's model, each image by the reference bank alone.

    Args:
        run: A loaded run.
        device: Where it computes.

    Raises:
        InputError: The model was trained on images that transforms in Python made.
    """

    def __init__(self, run: Run, device: torch.device | str = "cpu") -> None:
        refuse_own_transforms(run)
        self.run = run
        run.model.to(device)
        if run.references is not None:
            run.references.bank.to(device)

    @property
    def classes(self) -> Sequence[str]:
        """Names of the classes."""
        return self.run.config.classes

    def decode(self, image: ImageBytes) -> Pixels:
        """The pixels that the model classifies, as ``predict.py`` makes them of a file."""
        config = self.run.config
        size = (config.height, config.width)
        how = (config.channels, config.resize, config.white, config.interpolation)
        return decode(image, size, *how)

    def answer(
        self, names: Sequence[str], images: Sequence[Pixels], num_references: int
    ) -> list[Prediction]:
        """A prediction for each image."""
        files = [Path(name) for name in names]
        stacked = torch.from_numpy(np.stack(images))
        return list(classify(self.run, files, stacked, num_references))

    def blank(self) -> Pixels:
        """A black image of the model's size."""
        config = self.run.config
        return np.zeros((config.channels, config.height, config.width), np.uint8)
