"""Which options have an effect on which runs: one that has none is refused, not passed over."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pyg_agfn.choices import CUSTOM
from pyg_agfn.cli import flag_of
from pyg_agfn.errors import InputError
from pyg_agfn.launch import launched_processes
from pyg_agfn.registry import DATASETS, METHODS

if TYPE_CHECKING:
    from pyg_agfn.training.options import TrainOptions


@dataclass(frozen=True)
class Use:
    """A condition for an option to have an effect.

    Attributes:
        holds: Whether a run fulfils it.
        because: Why there is no effect else; options in braces stand for their values.
        way_out: What to do to have one; ``{takers}`` stands for the methods that take the option.
    """

    holds: Callable[[TrainOptions], bool]
    because: str
    way_out: str


def _reads(options: TrainOptions, option: str) -> bool:
    """Whether the data set is told the option when it is read."""
    if options.dataset not in DATASETS:
        return False
    reader = DATASETS[options.dataset]
    return reader.needs_root if option == "root" else option in reader.options


def _of_dataset(option: str) -> Use:
    return Use(
        lambda o: _reads(o, option),
        "with --dataset {dataset}, which does not take it",
        "name another --dataset",
    )


def _of_method(
    option: str,
    condition: Callable[[str, TrainOptions], bool] = lambda name, options: True,
    because: str = "",
    way_out: str = "",
) -> tuple[Use, ...]:
    """A method that takes the option, and one for which a further condition holds."""

    def taken(options: TrainOptions) -> list[str]:
        return [name for name in options.method if option in METHODS[name].options]

    takes = Use(
        lambda o: bool(taken(o)),
        "with --method {method}, which does not take it",
        "add {takers} to --method",
    )
    if not because:
        return (takes,)
    further = Use(lambda o: any(condition(n, o) for n in taken(o)), because, way_out)
    return takes, further


_OF_FILE = Use(lambda o: o.noise_file is not None, "without --noise-file", "name a list of labels")
_OF_NOISE = Use(lambda o: o.noise > 0, "without --noise", "give a share of labels by --noise")
_SKIPPED = Use(
    lambda o: _reads(o, "skip_bad") or o.noise_file is not None,
    "with --dataset {dataset}, which has no rows or images to leave out",
    "name a --noise-file or another --dataset",
)
_LOSS = Use(
    lambda o: not all(METHODS[name].own_loss for name in o.method),
    "with --method {method}, defined by a loss of its own",
    "add a method without one to --method",
)


_SGD = Use(
    lambda o: o.optimizer == "sgd",
    "with --optimizer {optimizer}, whose betas take its place",
    "choose --optimizer sgd",
)
_OF_EMA = Use(
    lambda o: o.weight_averaging == "ema",
    "with --weight-averaging {weight_averaging}",
    "choose --weight-averaging ema",
)
_AVERAGING = Use(
    lambda o: o.weight_averaging == "none" or any(not _has_teacher(n, o) for n in o.method),
    "with agfn-nlc, whose teacher is an average of the weights anyhow",
    "give --teacher-decay 0",
)
_BALANCE = Use(
    lambda o: o.balance != "loss" or _LOSS.holds(o),
    "with --method {method}, defined by a loss of its own",
    "choose --balance sampler",
)
_COMPILES = Use(
    lambda o: o.compile != "on" or any(METHODS[name].compiles for name in o.method),
    "with --method {method}, which looks at the layers of the backbone",
    "add another method to --method",
)
_ONE_PROCESS = Use(
    lambda o: o.compile != "on" or launched_processes()[1] == 1,
    "in several processes, whose batch normalization is shared",
    "train in one",
)


def _of_schedule(*names: str) -> Use:
    return Use(
        lambda o: o.schedule in names,
        "with --schedule {schedule}",
        f"choose --schedule {' or '.join(names)}",
    )


def _has_teacher(name: str, options: TrainOptions) -> bool:
    return name == "agfn-nlc" and options.teacher_decay > 0


def _corrects(options: TrainOptions) -> bool:
    """Whether ``agfn-nlc`` corrects labels or learns its graph."""
    return options.memory_size > 0 or options.label_source != "given"


def _learns_graph(name: str, options: TrainOptions) -> bool:
    return name != "agfn-nlc" or options.classifier_inputs != "single" or options.memory_size > 0


def _draws(name: str, options: TrainOptions) -> bool:
    return name != "agfn-nlc" or options.classifier_inputs != "single"


def _has_gradient_of_pairs(name: str, options: TrainOptions) -> bool:
    """Whether alpha and beta have a gradient by the pairs that an ``edge_index`` lists."""
    by_memory = name == "agfn-nlc" and options.memory_size > 0
    return options.propagation == "edges" and _draws(name, options) and not by_memory


_REST = ("with --memory-size 0, where alpha and beta rest", "give a --memory-size")
_NO_DRAW = (
    "with agfn-nlc, which draws no graph of a mini-batch",
    "add agfn to --method",
)

#: Options of how a registered data set is read.
_READING = (
    "noise",
    "noise_file",
    "train_size",
    "eval_split",
    "image_size",
)
_REGISTERED = Use(
    lambda o: o.dataset != CUSTOM, "on images that are given in Python", "do it to the images"
)

#: The conditions of each option, all of which have to hold. What is not listed has an effect on
#: every run, or depends on the machine alone (``--workers``, ``--cache`` of a full cache).
USES: dict[str, tuple[Use, ...]] = {
    **dict.fromkeys(_READING, (_REGISTERED,)),
    **{
        name: (_of_dataset(name),)
        for name in ("root", "cache", "resize", "interpolation", "label_mode", "targets")
    },
    "noise_labels": (_OF_FILE,),
    "noise_kind": (_REGISTERED, _OF_NOISE),
    "skip_bad": (_SKIPPED,),
    "loss": (_LOSS,),
    **{
        name: _of_method(name)
        for name in (
            "threshold",
            "feature_dim",
            "bank_size",
            "bank_choice",
            "bank_scale",
            "propagation",
            "alpha",
            "beta",
            "teacher_decay",
            "memory_size",
            "label_source",
            "classifier_inputs",
            "descent",
        )
    },
    "pretrain_epochs": _of_method(
        "pretrain_epochs",
        lambda name, o: name != "agfn-nlc" or _draws(name, o) or _corrects(o),
        "where neither labels are corrected nor a graph is drawn",
        "choose another label_source",
    ),
    "graph_span": (
        *_of_method("graph_span"),
        Use(lambda _: launched_processes()[1] > 1, "in one process", "start several by torchrun"),
    ),
    "graph_gradient": _of_method(
        "graph_gradient",
        _has_gradient_of_pairs,
        "with --propagation {propagation}, or where alpha and beta learn from no drawn graph",
        "choose --propagation edges and --method agfn",
    ),
    "samples": _of_method("samples", _draws, *_NO_DRAW),
    "max_share": _of_method(
        "max_share",
        lambda name, o: o.label_source != "given" or o.max_share is None,
        "with label_source 'given', where no label is corrected",
        "choose another label_source",
    ),
    "momentum": (_SGD,),
    "milestones": (_of_schedule("step"),),
    "gamma": (_of_schedule("step", "exponential"),),
    "weight_averaging": (_AVERAGING,),
    "ema_decay": (_OF_EMA, _AVERAGING),
    "balance": (_BALANCE,),
    "compile": (_COMPILES, _ONE_PROCESS),
    "lr_graph": _of_method("lr_graph", _learns_graph, *_REST),
    "graph_optimizer": _of_method("graph_optimizer", _learns_graph, *_REST),
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
            shown = _Shown(vars(runs[0]), name)
            because, way_out = (
                text.format_map(shown) for text in (failed[0].because, failed[0].way_out)
            )
            raise InputError(f"{flag_of(name)} has no effect {because}: leave it out, or {way_out}")


class _Shown(dict[str, Any]):
    """Options as they are typed, and the methods that take one of them."""

    def __init__(self, values: Mapping[str, Any], option: str) -> None:
        super().__init__(values)
        self["method"] = " ".join(self["method"])
        self["takers"] = " or ".join(name for name in METHODS if option in METHODS[name].options)
