"""Each method at several learning rates, in Markdown; each is compared at its own best rate."""

import statistics
from typing import Any

from pyg_agfn.registry import METHODS
from pyg_agfn.reproduction.grid import TARGETS
from pyg_agfn.reproduction.rows import (
    Row,
    difference,
    leak_cell,
    mean_and_spread,
    memorized_cell,
    of_common_seeds,
    seeds_note,
    settings_line,
    standing,
)


def render_sweep(
    dataset: str, chosen_settings: dict[str, Any], rows: dict[tuple[str, float], Row]
) -> str:
    """The table of runs that differ in method, learning rate and seed only.

    Args:
        dataset: Its name.
        chosen_settings: The settings in common that are no defaults.
        rows: By method and learning rate. A method's rates are compared on the seeds that all of
            them have.

    Returns:
        The Markdown; empty if no method was run at two rates by the same seed.
    """
    swept: dict[str, dict[float, Row]] = {}
    for method in METHODS:
        of_rate = {rate: row for (name, rate), row in sorted(rows.items()) if name == method}
        comparable = of_common_seeds(list(of_rate.values()))
        if len(comparable) > 1:
            swept[method] = dict(zip(of_rate, comparable, strict=True))
    if not swept:
        return ""
    best = {method: max(found, key=lambda r: _mean(found[r])) for method, found in swept.items()}
    chosen = {method: found[best[method]] for method, found in swept.items()}
    rates = sorted({rate for found in swept.values() for rate in found})
    command = "sweep"
    if tuple(rates) != TARGETS["sweep"].varied["lr"]:
        command += "".join(f" {rate:g}" for rate in rates)
    heads = ["method", *(f"{rate:g}" for rate in rates), "best to baseline's", "leakage"]
    lines = [settings_line(command, dataset, chosen_settings, list(chosen.values())), ""]
    lines += ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for method, found in swept.items():
        cells = [method + seeds_note(chosen[method], chosen.values())]
        for rate in rates:
            cell = _cell(found[rate]) if rate in found else ""
            cells.append(f"**{cell}**" if rate == best[method] else cell)
        cells.append(
            difference(chosen[method], chosen.get("baseline")) if method != "baseline" else ""
        )
        lines.append("| " + " | ".join([*cells, leak_cell(chosen[method].metrics)]) + " |")
    return "\n".join([*lines, "", f"Each at its best rate: {standing(chosen)}"])


def _mean(row: Row) -> float:
    return statistics.mean(row.accuracy)


def _cell(row: Row) -> str:
    memorized = memorized_cell(row.metrics)
    return mean_and_spread(row.accuracy) + (f", {memorized}" if memorized != "-" else "")
