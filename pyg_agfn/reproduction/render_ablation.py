"""What ``agfn-nlc`` is worth without each of its parts, or with others, in Markdown."""

import json
import statistics
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from pyg_agfn.reproduction.grid import (
    QUICK,
    TARGETS,
    chosen_settings,
    default_settings,
    is_quick,
    known_settings,
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
    row_of_records,
    seeds_note,
    settings_line,
)
from pyg_agfn.reproduction.target import NLC


def render_ablation(records: Sequence[Record], dataset: str) -> str:
    """A table for each set of options that the runs have in common.

    Raises:
        InputError: No record belongs to it.
    """
    groups: dict[str, dict[str, list[Record]]] = defaultdict(lambda: defaultdict(list))
    for record in records:
        check_record(record)
        found = record["settings"]
        if found["dataset"] != dataset or row_of(found) != NLC or "metrics" not in record:
            continue
        found = known_settings(found, dataset)
        name = _variant(found)
        if name is not None:
            own = {*TARGETS["ablation"].sets, "method", "seed"}
            rest = {key: value for key, value in chosen_settings(found).items() if key not in own}
            groups[json.dumps(rest, sort_keys=True)][name].append(record)
    if not groups:
        raise nothing_finished("ablation", dataset)
    tables = []
    for rest_text, by_name in groups.items():
        rows = {
            name: row_of_records(by_name[name])
            for name in TARGETS["ablation"].variants
            if name in by_name
        }
        head = settings_line("ablation", dataset, json.loads(rest_text), list(rows.values()))
        tables.append("\n".join([head, "", *_table(rows)]))
    return "\n\n".join(tables) + "\n"


def _variant(found: dict[str, Any]) -> str | None:
    """The name of the ablation's run with these settings; None if it has no such run."""
    target = TARGETS["ablation"]
    defaults = default_settings(found["dataset"], NLC)
    whole = {name: defaults[name] for name in target.sets}
    if is_quick(found):
        whole["bank_size"] = QUICK["bank_size"]
    for name, changed in target.variants.items():
        if all(found[key] == value for key, value in {**whole, **changed}.items()):
            return name
    return None


def _table(rows: dict[str, Row]) -> list[str]:
    heads = ["", "inductive", "to all parts", "single", "leakage", "memorized", "α", "β"]
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    every = rows.get("all parts")
    for name, row in rows.items():
        metrics = row.metrics
        cells = [
            name + seeds_note(row, rows.values()),
            mean_and_spread(row.accuracy),
            difference(row, every) if row is not every else "",
            mean_and_spread([m["accuracy"]["single"] for m in metrics]),
            leak_cell(metrics),
            memorized_cell(metrics),
            *(f"{statistics.mean(m[key] for m in metrics):.2f}" for key in ("alpha", "beta")),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return lines
