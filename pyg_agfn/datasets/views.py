"""Further views of an image, which some methods compare with the one that they classify."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from pyg_agfn.datasets.augmentation import random_affine, random_erasing
from pyg_agfn.generators import generator_for
from pyg_agfn.registry import Registry

MakeView = Callable[[Tensor, Tensor], Tensor]


class View(NamedTuple):
    r"""A second view of the images of a batch.

    Attributes:
        make: Called with the images :math:`(N, C, H, W)`, augmented but not erased, and draws
            :math:`(D, N)`, uniform in 0..1; returns the view, :math:`(N, C, H, W)`.
        draws: D, the number of draws for each image.
        erases_images: Whether the images that it is compared with are erased too where they are
            not augmented (:func:`~pyg_agfn.datasets.augmentation.random_erasing`).
    """

    make: MakeView
    draws: int
    erases_images: bool


#: The views by their names, which methods list in ``Method.views``.
VIEWS: Registry[View] = Registry("view", {"mirrored": "pyg_agfn.datasets.views"})


def register_view(
    name: str, draws: int = 0, erases_images: bool = False
) -> Callable[[MakeView], MakeView]:
    """A decorator that makes a function a view; see :class:`View`.

    Raises:
        InputError: The name is taken, or is none.
    """

    def add(make: MakeView) -> MakeView:
        VIEWS.register(name, module=make.__module__)(View(make, draws, erases_images))
        return make

    return add


@register_view("mirrored", draws=5, erases_images=True)
def mirrored(images: Tensor, draw: Tensor) -> Tensor:
    """The mirrored images, each erased by a draw of its own (EAC, Zhang et al., ECCV 2022)."""
    return random_erasing(images.flip(-1), draw)


class ViewMaker:
    r"""Augments the images of a batch, and makes their further views.

    Views draw from a generator of their own: the images are the same with and without views,
    unless a view erases images that are not augmented.

    Args:
        names: Views to make.
        generator: Of the augmentation's draws.
        seed: Of the views' draws.

    Raises:
        InputError: There is no such view.
    """

    def __init__(self, names: Sequence[str], generator: torch.Generator, seed: int) -> None:
        self.views = {name: VIEWS[name] for name in names}
        self.generator = generator
        self.view_generator = generator_for("mirrored view", seed)

    def draw(self, n: int, augmented: bool) -> dict[str, Tensor]:
        """What is drawn for a batch of n, on the CPU, so that every device sees the same.

        Args:
            n: Images in the batch.
            augmented: Pass them through random_affine and random_erasing.
        """
        drawn = {}
        if augmented:
            drawn["random_affine"] = torch.rand(4, n, generator=self.generator)
            drawn["random_erasing"] = torch.rand(5, n, generator=self.generator)
        elif any(view.erases_images for view in self.views.values()):
            drawn["random_erasing"] = torch.rand(5, n, generator=self.view_generator)
        for name, view in self.views.items():
            drawn[f"view {name}"] = torch.rand(view.draws, n, generator=self.view_generator)
        return drawn

    def make(self, images: Tensor, drawn: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """The images as they are trained on, and their views, by the draws for them."""
        if "random_affine" in drawn:
            images = random_affine(images, drawn["random_affine"])
        views = {name: v.make(images, drawn[f"view {name}"]) for name, v in self.views.items()}
        if "random_erasing" in drawn:
            images = random_erasing(images, drawn["random_erasing"])
        return images, views

    def state_dict(self) -> dict[str, Tensor]:
        """Both generators."""
        return {
            "generator": self.generator.get_state(),
            "mirror_generator": self.view_generator.get_state(),  # its name in checkpoints
        }

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Takes back what :meth:`state_dict` gave."""
        self.generator.set_state(state["generator"])
        self.view_generator.set_state(state["mirror_generator"])
