"""Where names stand in a picture, so that none hides another."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

STEPS = 500
#: Boxes that overlap are pushed farther apart than they need, in the unit of the room: so the
#: last of a long row does not take for ever to settle.
GAP = 2.0
#: Share of the room that names may take; beyond it they are no help.
FULL = 0.5


def place_labels(
    centers: NDArray[Any], sizes: NDArray[Any], room: tuple[float, float]
) -> NDArray[Any] | None:
    r"""Moves boxes apart until none overlaps another, each as near to its place as may be.

    Args:
        centers: Where the boxes should be, :math:`(k, 2)`.
        sizes: Their widths and heights, :math:`(k, 2)`.
        room: Width and height of the room from :math:`(0, 0)`, which no box leaves.

    Returns:
        Their centers :math:`(k, 2)`; None where the room is too small for them.
    """
    space = np.asarray(room)
    if sizes.prod(1).sum() > FULL * space.prod() or (sizes > space).any():
        return None
    low, high = sizes / 2, space - sizes / 2
    places = np.clip(centers, low, high)
    reach = (sizes[:, None] + sizes[None]) / 2
    # Boxes at one place are pushed apart by their order.
    order = np.sign(np.arange(len(sizes))[:, None] - np.arange(len(sizes))[None])
    others = order != 0
    for _ in range(STEPS):
        away = places[:, None] - places[None]
        overlap = reach - np.abs(away)
        if not ((overlap > 0).all(2) & others).any():
            return places
        overlap += GAP
        both = (overlap > 0).all(2) & others
        # Along the axis on which less has to be moved.
        vertical = overlap[..., 1] <= overlap[..., 0]
        along = np.stack([~vertical, vertical], 2) & both[..., None]
        side = np.where(away == 0, order[..., None], np.sign(away))
        push = np.where(along, side * overlap / 2, 0.0).sum(1)
        # Half a step: a box between two others must not jump over them.
        places = np.clip(places + 0.5 * push, low, high)
    return None
