"""An exported file as the server asks it; torch is not needed."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pyg_agfn.datasets.image_file import ImageBytes
from pyg_agfn.datasets.image_pixels import Pixels
from pyg_agfn.errors import InputError
from pyg_agfn.exported_model import ExportedModel
from pyg_agfn.image_predictions import Prediction


class ExportedAnswerer:
    """Answers by an exported file. It lists no training images: the file has none.

    Args:
        model: The opened file.

    Raises:
        InputError: The model was trained on images that transforms in Python made.
    """

    def __init__(self, model: ExportedModel) -> None:
        if model.preprocessing is None:
            raise InputError(
                f"{model.file}: transforms in Python made the images that it was trained on; "
                "classify images by ExportedModel.predict_floats()"
            )
        self.model = model

    @property
    def classes(self) -> Sequence[str]:
        """Names of the classes."""
        return self.model.classes

    def decode(self, image: ImageBytes) -> Pixels:
        """The pixels that the model classifies, as ``predict.py`` makes them of a file."""
        return self.model.preprocess(image)

    def answer(
        self, names: Sequence[str], images: Sequence[Pixels], num_references: int
    ) -> list[Prediction]:
        """A prediction for each image."""
        answers = self.model.predict(np.stack(images)).tolist()
        return [
            Prediction(Path(name), dict(zip(self.classes, shares, strict=True)), [], None, image)
            for name, shares, image in zip(names, answers, images, strict=True)
        ]

    def blank(self) -> Pixels:
        """A black image of the model's size."""
        return np.zeros(self.model.input_shape, np.uint8)
