"""What answers images for the server: a model and how files become its inputs.

Nothing here needs torch, nor do the queue and the routes: a model may be one of another runtime.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from pyg_agfn.datasets.image_file import ImageBytes
from pyg_agfn.datasets.image_pixels import Pixels

if TYPE_CHECKING:
    from pyg_agfn.image_predictions import Prediction


class Answerer(Protocol):
    """What the server needs of a model.

    ``decode`` is called in several threads at once, ``answer`` in one.
    """

    @property
    def classes(self) -> Sequence[str]:
        """Names of the classes."""

    def decode(self, image: ImageBytes) -> Pixels:
        """The pixels that the model classifies, uint8 (C, H, W).

        Raises:
            InputError: The file is no image, truncated, or too large to be decoded.
        """

    def answer(
        self, names: Sequence[str], images: Sequence[Pixels], num_references: int
    ) -> "list[Prediction]":
        """A prediction for each image. It does not depend on the other images.

        Raises:
            InputError: The model's answer is not finite.
        """

    def blank(self) -> Pixels:
        """A black image of the model's size."""
