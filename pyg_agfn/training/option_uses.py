"""Which options have an effect on which runs: one that has none is refused, not passed over."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pyg_agfn.choices import GRAPH_METHODS
from pyg_agfn.cli import flag_of
from pyg_agfn.errors import InputError
from pyg_agfn.launch import launched_processes

if TYPE_CHECKING:
    from pyg_agfn.training.options import TrainOptions

#: Methods that are defined by a loss of their own.
OWN_LOSS = ("label-smoothing", "gce")
#: What AGFN is to the letter of the paper: no teacher, no memory, labels and graph as they are.
PAPER_PARTS: dict[str, Any] = {"teacher": 0.0, "memory": 0, "judges": "nobody", "heads": "graph"}


@dataclass(frozen=True)
class Use:
    """A condition for an option to have an effect.

    Attributes:
        holds: Whether a run fulfils it.
        because: Why there is no effect else; options in braces stand for their values.
        way_out: What to do to have one.
    """

    holds: Callable[[TrainOptions], bool]
    because: str
    way_out: str


def corrects_labels(options: TrainOptions) -> bool:
    """Whether AGFN has a part that the paper has not."""
    return any(getattr(options, name) != value for name, value in PAPER_PARTS.items())


def _methods(*names: str) -> Use:
    return Use(
        lambda o: bool({*names} & {*o.method}),
        f"with --method {{method}} (it belongs to {' and '.join(names)})",
        f"add {' or '.join(names)} to --method",
    )


def _datasets(*names: str) -> Use:
    return Use(
        lambda o: o.dataset in names,
        f"with --dataset {{dataset}} (it belongs to {', '.join(names)})",
        "name another --dataset",
    )


_AGFN = _methods("agfn")
_GRAPH = _methods(*GRAPH_METHODS)
_FILES = _datasets("ferplus", "rafdb", "folder")


def _graph_matters(options: TrainOptions) -> bool:
    """Whether AGFN trains on otherwise after its pre-training than before."""
    return options.heads != "alone" or options.memory > 0 or options.judges != "nobody"


_LEARNED_GRAPH = Use(
    lambda o: o.heads != "alone" or o.memory > 0,
    "with --heads alone and --memory 0, where alpha and beta stay as they are",
    "give a --memory",
)

#: The conditions of each option, all of which have to hold. What is not listed has an effect on
#: every run, or depends on the machine alone (``--workers``, ``--cache`` of a full cache).
USES: dict[str, tuple[Use, ...]] = {
    "root": (_datasets("mnist", "ferplus", "rafdb", "folder"),),
    "cache": (_FILES,),
    "resize": (_FILES,),
    "label_mode": (_datasets("ferplus"),),
    "noise_labels": (
        Use(lambda o: o.noise_file is not None, "without --noise-file", "name a list of labels"),
    ),
    "skip_bad": (
        Use(
            lambda o: _FILES.holds(o) or o.noise_file is not None,
            "with --dataset {dataset}, which has no rows or images to leave out",
            "name a --noise-file or another --dataset",
        ),
    ),
    "loss": (
        Use(
            lambda o: not {*o.method} <= {*OWN_LOSS},
            "with --method {method}, defined by a loss of its own",
            "add a method without one to --method",
        ),
    ),
    "threshold": (_methods("threshold-gcn"),),
    "pretrain_epochs": (
        _GRAPH,
        Use(
            lambda o: "threshold-gcn" in o.method or _graph_matters(o),
            "with --heads alone and neither --memory nor --judges",
            "choose other --heads",
        ),
    ),
    "feature_dim": (_GRAPH,),
    "bank_size": (_GRAPH,),
    "bank_choice": (_GRAPH,),
    "bank_scale": (_GRAPH,),
    "graph_span": (
        _GRAPH,
        Use(
            lambda _: launched_processes()[1] > 1,
            "in one process",
            "start several by torchrun",
        ),
    ),
    "alpha": (_AGFN,),
    "beta": (_AGFN,),
    "samples": (
        _AGFN,
        Use(
            lambda o: o.heads != "alone",
            "with --heads alone, which draws no graph of a mini-batch",
            "choose other --heads",
        ),
    ),
    "recipe": (_AGFN,),
    "teacher": (_AGFN,),
    "memory": (_AGFN,),
    "judges": (_AGFN,),
    "heads": (_AGFN,),
    "correct_at_most": (
        _AGFN,
        Use(
            lambda o: o.judges != "nobody" or o.correct_at_most is None,
            "with --judges nobody, where no label is corrected",
            "choose other --judges",
        ),
    ),
    "lr_graph": (_AGFN, _LEARNED_GRAPH),
    "graph_optimizer": (_AGFN, _LEARNED_GRAPH),
    "descent": (
        _AGFN,
        Use(
            lambda o: not corrects_labels(o),
            "with --recipe best or a part of it, which take one pass a step",
            "choose --recipe paper without --teacher, --memory, --judges and --heads",
        ),
    ),
}


def refuse_without_effect(runs: Sequence[TrainOptions], given: Iterable[str]) -> None:
    """Stops where an option that was given has no effect on any run.

    Args:
        runs: Options of one or more.
        given: Names of the options that the user gave, not a default or a saved configuration.

    Raises:
        InputError: One line for the first of them: the option, why it has none, and what to do.
    """
    for name in given:
        failed = [
            next((use for use in USES.get(name, ()) if not use.holds(options)), None)
            for options in runs
        ]
        if failed[0] is not None and None not in failed:
            because = failed[0].because.format_map(_Shown(vars(runs[0])))
            raise InputError(
                f"{flag_of(name)} has no effect {because}: leave it out, or {failed[0].way_out}"
            )


class _Shown(dict[str, Any]):
    """Options as they are typed."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        super().__init__(values)
        self["method"] = " ".join(self["method"])
