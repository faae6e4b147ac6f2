"""The table of a suite, in Markdown: methods by shares of wrong labels, and each in detail."""

import json
import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pyg_agfn.errors import printable
from pyg_agfn.registry import METHODS
from pyg_agfn.reproduction.grid import (
    QUICK,
    TARGETS,
    chosen_settings,
    default_settings,
    is_quick,
    known_settings,
    lacks_parts,
    row_of,
)
from pyg_agfn.reproduction.results_file import Record, check_record
from pyg_agfn.reproduction.rows import (
    Row,
    difference,
    leak_cell,
    mean_and_spread,
    memorized_cell,
    nothing_finished,
    paired_p,
    points_to,
    row_of_records,
    seeds_note,
    settings_line,
)
from pyg_agfn.reproduction.target import NLC

#: Below which p a method counts as surely ahead.
SURE = 0.01
#: What a run's metrics have of its last five epochs, each test image alone.
ACCURACY, CLASS_ACCURACY = "single_accuracy", "single_class_accuracy"


class Condition(NamedTuple):
    """The labels that were learned and the images that were measured.

    Attributes:
        noise: Share of labels that were made wrong.
        labels: The name of a list of labels; empty if none was read.
        subset: The name of a list of test images; empty for all of them.
    """

    noise: float
    labels: str
    subset: str

    @property
    def title(self) -> str:
        """Its heading."""
        labels = f"labels of {printable(self.labels, 80)}" if self.labels else ""
        rate = f"{self.noise:.0%} wrong labels" if self.noise else "no wrong labels added"
        subset = f"{printable(self.subset, 80)}, " if self.subset else ""
        return subset + (labels or rate)


Rows = dict[Condition, dict[str, Row]]


def render_suite(suite: str, records: Sequence[Record], given: Mapping[str, Any]) -> str:
    """A part for each set of options that the runs have in common.

    Args:
        suite: Its name.
        records: Of a results file.
        given: The options that the user has given in the place of the suite's own.

    Raises:
        InputError: No record belongs to it.
    """
    target = TARGETS[suite]
    groups: dict[str, dict[tuple[Condition, str], list[Record]]]
    groups = defaultdict(lambda: defaultdict(list))
    for record in records:
        check_record(record)
        if record["settings"]["dataset"] != target.dataset or "correct" not in record:
            continue
        if (rest := _rest_of(suite, record, given)) is None:
            continue
        found = record["settings"]
        subset, labels = record.get("subset", ""), str(found.get("noise_file") or "")
        key = Condition(found["noise"], labels, subset), row_of(found)
        groups[json.dumps(rest, sort_keys=True)][key].append(record)
    parts = [_part(suite, json.loads(text), found) for text, found in groups.items()]
    if not parts:
        raise nothing_finished(suite, target.dataset)
    return "\n\n".join(parts) + "\n"


def _rest_of(suite: str, record: Record, given: Mapping[str, Any]) -> dict[str, Any] | None:
    """What the user has chosen beyond the suite's options; None for a run of no such options."""
    target, recorded = TARGETS[suite], record["settings"]
    method = row_of(recorded)
    if not target.shows(recorded) or lacks_parts(recorded, target.dataset):
        return None
    known = known_settings(recorded, target.dataset)
    tryout = {*QUICK, "train_size", "warmup_epochs"} if is_quick(recorded) else set()
    given = {name: value for name, value in given.items() if name in known}
    for on_cpu in (False, True) if target.on_cpu else (False,):
        own = target.settings_of(method, given, on_cpu)
        # Of what the suite leaves open a method has its own defaults.
        own |= {name: known[name] for name in ("seed", "dataset", "method", *target.varied)}
        if all(known[name] == own[name] for name in own.keys() - tryout):
            rest = {k: v for k, v in chosen_settings(known).items() if k not in own or k in given}
            left = {k: v for k, v in rest.items() if k not in tryout or k == "train_size"}
            return {**left, **({"device": "cpu"} if on_cpu else {})}
    return None


def _part(
    suite: str, rest: dict[str, Any], found: Mapping[tuple[Condition, str], list[Record]]
) -> str:
    conditions = sorted({condition for condition, _ in found})
    rows: Rows = {
        condition: {
            method: row_of_records(found[condition, method])
            for method in METHODS
            if (condition, method) in found
        }
        for condition in conditions
    }
    every = [row for by_method in rows.values() for row in by_method.values()]
    dataset = TARGETS[suite].dataset
    (first, *_), *_ = found.values()
    split = known_settings(first["settings"], dataset)["eval_split"]
    rates = [condition.noise for condition in conditions if not condition.subset]
    if "noise" in TARGETS[suite].varied and set(rates) != set(TARGETS[suite].varied["noise"]):
        rest = {**rest, "noise_rates": sorted(set(rates))}
    whole = [row for c, of in rows.items() if not c.subset for row in of.values()] or every
    shown = {k: v for k, v in rest.items() if default_settings(dataset).get(k) != v}
    lines = [
        f"{TARGETS[suite].title}. "
        + settings_line(suite, dataset, shown, whole, split, "each image alone")
    ]
    if len(conditions) > 1:
        lines += ["", "Mean of the last five epochs:", "", *_overview(rows)]
    for condition, by_method in rows.items():
        lines += ["", f"**{condition.title[0].upper()}{condition.title[1:]}**", ""]
        lines += [*_table(by_method, bool(condition.subset)), "", _standing(by_method)]
    return "\n".join(lines)


def _overview(rows: Rows) -> list[str]:
    """Methods by conditions; the best of each is bold."""
    methods = [method for method in METHODS if any(method in of for of in rows.values())]
    lines = _head(["method", *(condition.title for condition in rows)])
    best = {c: max(of, key=lambda method: _mean(of[method])) for c, of in rows.items()}
    for method in methods:
        cells = []
        for condition, of in rows.items():
            cell = mean_and_spread(_main(of[method])) if method in of else ""
            cells.append(f"**{cell}**" if method == best[condition] else cell)
        lines.append(_line([method, *cells]))
    return lines


def _table(rows: dict[str, Row], subset: bool) -> list[str]:
    """A row a method: what it reaches, what that costs, and how far ``agfn-nlc`` is ahead."""
    whole = not subset
    epochs = whole and any(_last(row, ACCURACY) for row in rows.values())
    chosen = epochs and all("best_on_test" in m for row in rows.values() for m in row.metrics)
    heads = ["method"]
    heads += ["last five epochs", "mean class accuracy"] if epochs else []
    heads += ["last epoch", f"{NLC} to it"]
    heads += ["leakage", "memorized", "time"] if whole else []
    heads += ["best epoch on test"] if chosen else []
    lines = _head(heads)
    best = max(rows, key=lambda method: _mean(rows[method]))
    seconds = {method: _seconds(row) for method, row in rows.items()} if whole else {}
    for method, row in rows.items():
        main = [_cell(row, ACCURACY), _cell(row, CLASS_ACCURACY)] if epochs else []
        main.append(mean_and_spread(row.accuracy))
        main[0] = f"**{main[0]}**" if method == best else main[0]
        ahead = difference(rows[NLC], row) if NLC in rows and method != NLC else ""
        cells = [method + seeds_note(row, rows.values()), *main, ahead]
        if whole:
            time = f"{seconds[method] / seconds['baseline']:.1f}x" if "baseline" in rows else "-"
            cells += [leak_cell(row.metrics), memorized_cell(row.metrics), time]
        if chosen:
            cells.append(mean_and_spread([m["best_on_test"] for m in row.metrics]))
        lines.append(_line(cells))
    return lines


def _standing(rows: dict[str, Row]) -> str:
    """Which methods ``agfn-nlc`` is ahead of and behind in the last epoch, in words."""
    if NLC not in rows or len(rows) == 1:
        return f"{NLC} is not compared here."
    if any(row.quick for row in rows.values()):
        return f"A try-out does not tell where {NLC} stands."
    others = {method: row for method, row in rows.items() if method != NLC}
    points = {method: points_to(rows[NLC], row) for method, row in others.items()}
    behind = sorted((m for m in points if points[m] < 0), key=lambda m: points[m])
    level = [m for m in points if points[m] == 0]
    ahead = [method for method in points if points[method] > 0]
    tested = {method: paired_p(rows[NLC], others[method]) for method in ahead}
    sure = sum(p is not None and p < SURE for p in tested.values())
    sentence = f"{NLC} is ahead of {len(ahead)} of {len(points)} methods"
    sentence += f" ({sure} of them at p < {SURE:g})" if ahead else ""
    sentence += f", and level with {', '.join(level)}" if level else ""
    if behind:
        by = [difference(others[m], rows[NLC]).replace("+", f"{m} by ", 1) for m in behind]
        sentence += f"; it is behind {', '.join(by)}"
    return sentence + "."


def _last(row: Row, name: str) -> list[float]:
    """The mean of the last five epochs, one a seed; empty for runs of an older version."""
    if not row.metrics or any("last_epochs" not in metrics for metrics in row.metrics):
        return []
    return [statistics.mean(metrics["last_epochs"][name]) for metrics in row.metrics]


def _main(row: Row) -> list[float]:
    return _last(row, ACCURACY) or row.accuracy


def _mean(row: Row) -> float:
    return statistics.mean(_main(row))


def _cell(row: Row, name: str) -> str:
    found = _last(row, name)
    return mean_and_spread(found) if found else "-"


def _seconds(row: Row) -> float:
    return statistics.median(metrics["seconds_per_epoch"] for metrics in row.metrics)


def _head(heads: Sequence[str]) -> list[str]:
    return [_line(heads), "|" + "---|" * len(heads)]


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
