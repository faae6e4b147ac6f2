"""Results as Markdown tables, with the paper's figures in a column marked as quoted."""

import json
import statistics
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from pyg_agfn.errors import InputError, printable
from pyg_agfn.registry import METHODS
from pyg_agfn.reproduction.grid import (
    TARGETS,
    chosen_settings,
    known_settings,
    lacks_parts,
    row_of,
)
from pyg_agfn.reproduction.paper import QUOTED, QUOTED_BACKBONES
from pyg_agfn.reproduction.render_ablation import render_ablation
from pyg_agfn.reproduction.render_suite import render_suite
from pyg_agfn.reproduction.render_sweep import render_sweep
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
    standing,
)
from pyg_agfn.reproduction.suites import SUITES


class Key(NamedTuple):
    """The settings in which the rows of a table differ."""

    name: str
    noise: float
    backbone: str
    batch_size: int
    subset: str
    lr: float


def render(
    target: str,
    records: Sequence[Record],
    dataset: str,
    given: Mapping[str, Any] = MappingProxyType({}),
) -> str:
    """The Markdown of a table, Figure 4's accuracies, the sweep or the ablation.

    Runs with different options are in separate parts.

    Args:
        target: Its name.
        records: Of a results file.
        dataset: Of the runs.
        given: The options that the user has given in the place of a suite's own.

    Raises:
        InputError: No record belongs to the table.
    """
    if target == "ablation":
        return render_ablation(records, dataset)
    if target in SUITES:
        return render_suite(target, records, given)
    parts = [
        _render_part(target, dataset, chosen, rows)
        for chosen, rows in _by_settings(target, records, dataset)
    ]
    parts = [part for part in parts if part]
    if not parts:
        raise nothing_finished(target, dataset)
    return "\n\n".join(parts) + "\n"


def _by_settings(
    target: str, records: Sequence[Record], dataset: str
) -> Iterator[tuple[dict[str, Any], dict[Key, Row]]]:
    """The rows of a table, for each set of options that its runs have in common."""
    wanted = TARGETS[target]
    groups: dict[str, dict[Key, list[Record]]] = defaultdict(lambda: defaultdict(list))
    for record in records:
        check_record(record)
        found = record["settings"]
        subset = record.get("subset", "")
        method = row_of(found)
        if found["dataset"] != dataset or method not in wanted.rows:
            continue
        if not wanted.shows(found) or lacks_parts(found, dataset):
            continue
        if bool(subset) != (target in ("table-3", "table-4")) or "correct" not in record:
            continue
        chosen = chosen_settings(known_settings(found, dataset))
        common = {k: v for k, v in chosen.items() if k not in ("seed", *wanted.varied)}
        key = Key(
            method, found["noise"], found["backbone"], found["batch_size"], subset, found["lr"]
        )
        groups[json.dumps(common, sort_keys=True)][key].append(record)
    for common_text, rows in groups.items():
        yield json.loads(common_text), {key: row_of_records(group) for key, group in rows.items()}


def _render_part(target: str, dataset: str, chosen: dict[str, Any], rows: dict[Key, Row]) -> str:
    if target == "figure-3":
        raise InputError("figure 3 is a picture: scripts/reproduce.py --figure 3 draws it")
    if target == "sweep":
        return render_sweep(dataset, chosen, {(key.name, key.lr): row for key, row in rows.items()})
    rates = sorted({key.noise for key in rows})
    if "noise" in TARGETS[target].any_of and not set(rates) <= set(TARGETS[target].varied["noise"]):
        chosen = {**chosen, "noise_rates": rates}
    lines = [settings_line(target, dataset, chosen, list(rows.values()))]
    if target == "table-5":
        lines += _backbone_table(dataset, rows)
    else:
        for noise, subset in sorted({(key.noise, key.subset) for key in rows}):
            part = {
                key.name: row
                for key, row in rows.items()
                if (key.noise, key.subset) == (noise, subset)
            }
            quoted = QUOTED.get(target, {}).get((dataset, noise), {})
            heading = f"{noise:.0%} wrong labels" if noise else "No wrong labels added"
            heading = printable(subset, 80) or heading
            lines += ["", f"**{heading}**", "", *_method_table(part, quoted)]
    return "\n".join(lines)


def _method_table(rows: dict[str, Row], quoted: dict[str, float]) -> list[str]:
    """A row a method, in the methods' order, then what is only quoted."""
    rows = {method: rows[method] for method in METHODS if method in rows}
    subset = not next(iter(rows.values())).metrics
    heads = ["method", "inductive", "to baseline"]
    heads += [] if subset else ["shuffled", "leakage", "memorized", "s/epoch"]
    heads += ["paper (quoted)"] if quoted else []
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    best = max(rows, key=lambda method: statistics.mean(rows[method].accuracy))
    for method, row in rows.items():
        title = method + seeds_note(row, rows.values())
        bank = mean_and_spread(row.accuracy)
        cells = [title, f"**{bank}**" if method == best else bank]
        cells.append(difference(row, rows.get("baseline")) if method != "baseline" else "")
        if not subset:
            metrics = row.metrics
            cells += [
                mean_and_spread([m["accuracy"]["shuffled"]["mean"] for m in metrics]),
                leak_cell(metrics),
                memorized_cell(metrics),
                f"{statistics.median(m['seconds_per_epoch'] for m in metrics):.1f}",
            ]
        if quoted:
            cells.append(f"{quoted[method]:.2f}" if method in quoted else "")
        lines.append("| " + " | ".join(cells) + " |")
    for name in [name for name in quoted if name not in METHODS]:
        lines.append(f"| {name} |" + " |" * (len(heads) - 2) + f" {quoted[name]:.2f} |")
    return [*lines, "", standing(rows)]


def _backbone_table(dataset: str, rows: dict[Key, Row]) -> list[str]:
    lines = ["", "| network | inductive | to the backbone alone | shuffled | leakage | s/epoch |"]
    lines[-1] += " paper, RAF-DB (quoted) |"
    lines.append("|" + "---|" * 7)
    by_network = {(key.backbone, key.name): row for key, row in rows.items()}
    for backbone in TARGETS["table-5"].varied["backbone"]:
        for method in TARGETS["table-5"].rows:
            row = by_network.get((backbone, method))
            if row is None:
                continue
            name = backbone if method == "baseline" else f"{backbone} + AGFN"
            alone = by_network.get((backbone, "baseline"))
            metrics = row.metrics
            cells = [
                name + seeds_note(row, rows.values()),
                mean_and_spread(row.accuracy),
                difference(row, alone) if method != "baseline" else "",
                mean_and_spread([m["accuracy"]["shuffled"]["mean"] for m in metrics]),
                leak_cell(metrics),
                f"{statistics.median(m['seconds_per_epoch'] for m in metrics):.1f}",
                f"{QUOTED_BACKBONES[backbone, method]:.2f}",
            ]
            lines.append("| " + " | ".join(cells) + " |")
    return lines
