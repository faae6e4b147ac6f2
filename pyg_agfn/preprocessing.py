"""How an image file becomes an input of an exported model. Imports no torch."""

from dataclasses import dataclass
from typing import Any, get_args

from pyg_agfn.choices import SIDES, Interpolation, Resize
from pyg_agfn.datasets.image_pixels import UNKNOWN_WHITE, WHITE_FLOATS, WHITE_INTEGERS, White


@dataclass(frozen=True)
class Preprocessing:
    """How an image file becomes an input of the model.

    Attributes:
        channels: 1 for grey images, 3 for RGB.
        height, width: Of the images, in pixels.
        resize, interpolation: How an image of another shape is brought to this size.
        white: What is white in images of more than 8 bits.
        mean, std: Of pixels of 0 to ``range``, for each channel: the input is
            ``(pixels / 255 * range - mean) / std``.
        range: What is white before the mean is taken off.
        order: Of the colours.
    """

    channels: int
    height: int
    width: int
    resize: Resize = "stretch"
    interpolation: Interpolation = "bicubic"
    white: White = UNKNOWN_WHITE
    mean: float = 0.5
    std: float = 0.5
    range: int = 1
    order: str = "rgb"

    def as_json(self) -> dict[str, Any]:
        """As the exported file has it."""
        return {
            "channels": self.channels,
            "height": self.height,
            "width": self.width,
            "resize": self.resize,
            "interpolation": self.interpolation,
            "white_integer": self.white.integer,
            "white_float": self.white.floating,
            "mean": [self.mean] * self.channels,
            "std": [self.std] * self.channels,
            "range": self.range,
            "order": self.order if self.channels == 3 else "grey",
        }

    @classmethod
    def from_json(cls, content: object) -> "Preprocessing":
        """The same read back.

        Raises:
            ValueError: Something is missing, or cannot be.
        """
        if not isinstance(content, dict):
            raise ValueError("preprocessing must be a JSON object")
        channels, height, width = (content.get(name) for name in ("channels", "height", "width"))
        resize, whole = content.get("resize"), content.get("white_integer")
        floating, interpolation = content.get("white_float"), content.get("interpolation")
        found = {
            "channels": type(channels) is int and channels in (1, 3),
            "height": type(height) is int and SIDES[0] <= height <= SIDES[1],
            "width": type(width) is int and SIDES[0] <= width <= SIDES[1],
            "resize": resize in get_args(Resize),
            "interpolation": interpolation in get_args(Interpolation),
            "white_integer": whole is None or whole in WHITE_INTEGERS,
            "white_float": floating is None or floating in WHITE_FLOATS,
        }
        for name, fits in found.items():
            if not fits:
                raise ValueError(f"preprocessing: {name} cannot be {content.get(name)!r}")
        made = cls(channels, height, width, resize, interpolation, White(whole, floating))  # type: ignore[arg-type]
        for name, value in made.as_json().items():
            if content.get(name) != value:
                raise ValueError(f"preprocessing: {name} cannot be {content.get(name)!r}")
        return made
