"""An audit's fields without its computation."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor


class Row(NamedTuple):
    """A row of an audit."""

    rank: int
    file: str
    given_label: str
    suggested_label: str
    score: float
    is_issue: bool
    neighbors: tuple[str, ...]


@dataclass
class StandIn:
    """What a page shows of an audit."""

    rows: list[Row]
    classes: tuple[str, ...]
    pixels: Callable[[Sequence[str]], Tensor]
    text: str

    def summary(self) -> str:
        return self.text


def audit_of(
    names: Sequence[str],
    classes: Sequence[str],
    issues: int,
    text: str = "Some labels are wrong.",
    pixels: Callable[[Sequence[str]], Tensor] | None = None,
) -> StandIn:
    """An audit of images in the order of their names; row i is given class i, suggested i + 1."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (len(names), 3, 6, 6), generator=generator, dtype=torch.uint8)
    place = {name: i for i, name in enumerate(names)}
    rows = [
        Row(
            rank=i + 1,
            file=name,
            given_label=classes[i % len(classes)],
            suggested_label=classes[(i + 1) % len(classes)],
            score=1 - i / len(names),
            is_issue=i < issues,
            neighbors=tuple(names[(i + k) % len(names)] for k in (1, 2, 3)),
        )
        for i, name in enumerate(names)
    ]
    read = pixels or (lambda wanted: images[[place[name] for name in wanted]])
    return StandIn(rows, tuple(classes), read, text)
