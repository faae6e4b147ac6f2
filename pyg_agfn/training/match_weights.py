"""Tensors of a weights file matched to a backbone's by name and shape, and loaded."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import nn

from pyg_agfn.errors import InputError, printable
from pyg_agfn.training.weights_file import StoredWeights

#: What stands before the names of a backbone that was a part of another model.
PREFIXES = ("module.", "backbone.", "encoder.", "model.")
#: Share of the backbone's tensors that has to match.
LEAST_SHARE = 0.9


@dataclass(frozen=True)
class Match:
    """Which tensors of a file are which of a backbone.

    Attributes:
        names: The file's by the backbone's, where the shapes are equal too.
        differing: The same where they are not.
        missing: The backbone's that the file lacks.
        left_over: The file's that the backbone has not, such as its classifier.
    """

    names: dict[str, str]
    differing: dict[str, str]
    missing: list[str]
    left_over: list[str]


def match_names(
    stored: Mapping[str, tuple[int, ...]], wanted: Mapping[str, tuple[int, ...]]
) -> Match:
    """Which stored tensor is which of the backbone's.

    A name is the backbone's as it is, or without one or more of :data:`PREFIXES` at its beginning;
    the name with fewest of them taken off wins.
    """
    names: dict[str, str] = {}
    taken_off: dict[str, int] = {}
    left_over = []
    for name in stored:
        found = _without_prefixes(name, wanted)
        if found is None:
            left_over.append(name)
            continue
        ours, count = found
        if ours in names and taken_off[ours] <= count:
            left_over.append(name)
            continue
        if ours in names:
            left_over.append(names[ours])
        names[ours], taken_off[ours] = name, count
    equal = {ours: theirs for ours, theirs in names.items() if stored[theirs] == wanted[ours]}
    differing = {ours: theirs for ours, theirs in names.items() if ours not in equal}
    missing = [name for name in wanted if name not in names]
    return Match(equal, differing, missing, left_over)


def _without_prefixes(name: str, wanted: Mapping[str, tuple[int, ...]]) -> tuple[str, int] | None:
    """The backbone's name for a stored one, and how many prefixes were taken off."""
    for count in range(len(name)):
        if name in wanted:
            return name, count
        prefix = next((prefix for prefix in PREFIXES if name.startswith(prefix)), None)
        if prefix is None:
            return None
        name = name.removeprefix(prefix)
    return None


@torch.no_grad()
def load_weights(backbone: nn.Module, weights: StoredWeights) -> str:
    """Loads weights into a backbone; what has no match keeps its own.

    The counters of batch normalization, which old files lack, are not counted.

    Returns:
        A line that says what matched.

    Raises:
        InputError: Fewer than :data:`LEAST_SHARE` of the backbone's tensors match in name and
            shape, a tensor is not finite, or the weights are for another number of channels.
    """
    own = backbone.state_dict()
    wanted = {name: tuple(tensor.shape) for name, tensor in own.items()}
    match = match_names(weights.shapes, wanted)
    counted = [name for name in wanted if not name.endswith("num_batches_tracked")]
    good = sum(name in match.names for name in counted)
    rest = [
        _listed(
            "shapes differ", [_both(n, wanted[n], weights, t) for n, t in match.differing.items()]
        ),
        _listed("missing", [name for name in match.missing if name in set(counted)]),
        _listed("left over", match.left_over),
    ]
    found = f"{good} of {len(counted)} tensors match"
    line = "; ".join((f"{weights.name}: {found}", *filter(None, rest)))
    if good < LEAST_SHARE * len(counted):
        raise InputError(
            f"{line}; {LEAST_SHARE:.0%} have to match: choose the --backbone or the "
            "--backbone-arg that these weights are of"
        )
    for ours, theirs in match.differing.items():
        have, need = weights.shapes[theirs], wanted[ours]
        if len(have) == 4 and {have[1], need[1]} == {1, 3} and have[2:] == need[2:]:
            raise InputError(
                f"{line}; the weights are for images of {have[1]} channels, and the backbone has "
                f"{need[1]}: give --input-channels {have[1]}"
            )
    for ours, theirs in match.names.items():
        tensor = weights.read(theirs)
        if not bool(tensor.isfinite().all()):
            raise InputError(f"{weights.name}: {printable(theirs, 100)} is not finite")
        own[ours].copy_(tensor)
    return line


def _both(name: str, wanted: tuple[int, ...], weights: StoredWeights, theirs: str) -> str:
    return f"{name} is {list(weights.shapes[theirs])} where the backbone has {list(wanted)}"


def _listed(what: str, names: list[str]) -> str:
    """The first names of several, and how many there are."""
    if not names:
        return ""
    first = ", ".join(printable(name, 120) for name in names[:3])
    return f"{what}: {first}" + (f" and {len(names) - 3} more" if len(names) > 3 else "")
