"""Positions of names in a picture at which none hides another."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

STEPS = 500
#: Overlapping boxes are pushed farther apart than necessary, by this much. Otherwise the last box
#: of a long row takes very long to settle.
GAP = 2.0
#: Share of the room that names may fill; more names would only hide the points.
FULL = 0.5


def place_labels(
    centers: NDArray[Any], sizes: NDArray[Any], room: tuple[float, float]
) -> NDArray[Any] | None:
    r"""Moves boxes apart until none overlaps another; each stays near its place.

    Args:
        centers: Where the boxes should be, :math:`(k, 2)`.
        sizes: Their widths and heights, :math:`(k, 2)`.
        room: Width and height of the room; no box leaves it. Its corner is :math:`(0, 0)`.

    Returns:
        The centers of the boxes, :math:`(k, 2)`; None if the room is too small for them.
    """
    space = np.asarray(room)
    if sizes.prod(1).sum() > FULL * space.prod() or (sizes > space).any():
        return None
    low, high = sizes / 2, space - sizes / 2
    places = np.clip(centers, low, high)
    reach = (sizes[:, None] + sizes[None]) / 2
    # Boxes at the same place are pushed apart in their order.
    order = np.sign(np.arange(len(sizes))[:, None] - np.arange(len(sizes))[None])
    others = order != 0
    for _ in range(STEPS):
        away = places[:, None] - places[None]
        overlap = reach - np.abs(away)
        if not ((overlap > 0).all(2) & others).any():
            return places
        overlap += GAP
        both = (overlap > 0).all(2) & others
        # Each pair moves along the axis of the smaller overlap.
        vertical = overlap[..., 1] <= overlap[..., 0]
        along = np.stack([~vertical, vertical], 2) & both[..., None]
        side = np.where(away == 0, order[..., None], np.sign(away))
        push = np.where(along, side * overlap / 2, 0.0).sum(1)
        # Half a step: a box between two others must not jump over them.
        places = np.clip(places + 0.5 * push, low, high)
    return None
