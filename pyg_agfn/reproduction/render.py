"""Results as Markdown tables: ours beside the paper's, which are marked as quoted."""

import json
import statistics
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pyg_agfn.errors import InputError, printable
from pyg_agfn.evaluation import paired_p_value
from pyg_agfn.reproduction.grid import (
    ROWS,
    TARGETS,
    chosen_settings,
    default_settings,
    known_settings,
    row_of,
)
from pyg_agfn.reproduction.paper import QUOTED, QUOTED_BACKBONES
from pyg_agfn.reproduction.results_file import Record, check_record, unpack
from pyg_agfn.run_folder import BEST
from pyg_agfn.training.options import RECIPES

#: A row's key: its name, share of wrong labels, backbone, batch size, subset.
Key = tuple[str, float, str, int, str]


@dataclass(frozen=True)
class Row:
    """The runs of one row and setting, one a seed.

    Attributes:
        seeds: In ascending order.
        accuracy: By the bank, 0 to 1, one a seed.
        correct: (seeds, images).
        metrics: One a seed; empty for a subset.
    """

    seeds: list[int]
    accuracy: list[float]
    correct: Tensor
    metrics: list[dict[str, Any]]


def render(target: str, records: Sequence[Record], dataset: str) -> str:
    """The Markdown of a table, or of Figure 4's accuracies: a part for each recipe.

    Raises:
        InputError: No record belongs to the table.
    """
    parts = [
        _render_recipe(target, dataset, recipe, rows)
        for recipe, rows in _by_recipe(target, records, dataset)
    ]
    if not parts:
        raise nothing_finished(target, dataset)
    return "\n\n".join(parts) + "\n"


def nothing_finished(target: str, dataset: str) -> InputError:
    """That a table has no run yet, and how to get it."""
    return InputError(
        f"no finished run of {target} on {dataset}: run scripts/reproduce.py "
        f"--{target.replace('-', ' ')} --dataset {dataset} --root ..."
    )


def _by_recipe(
    target: str, records: Sequence[Record], dataset: str
) -> Iterator[tuple[dict[str, Any], dict[Key, Row]]]:
    """The rows of a table, for each set of options that its runs have in common."""
    wanted = TARGETS[target]
    groups: dict[str, dict[Key, list[Record]]] = defaultdict(lambda: defaultdict(list))
    for record in records:
        check_record(record)
        found = record["settings"]
        subset = record.get("subset", "")
        if found["dataset"] != dataset or row_of(found) not in wanted.rows:
            continue
        if any(found.get(name) not in values for name, values in wanted.varied.items()):
            continue
        if bool(subset) != (target in ("table-3", "table-4")) or "correct" not in record:
            continue
        recipe = _common(found, dataset, ("method", "recipe", "seed", *wanted.varied))
        key = (
            row_of(found),
            found["noise"],
            found["backbone"],
            found["batch_size"],
            subset,
        )
        groups[json.dumps(recipe, sort_keys=True)][key].append(record)
    for recipe_text, rows in groups.items():
        yield json.loads(recipe_text), {key: row_of_records(group) for key, group in rows.items()}


def _common(found: dict[str, Any], dataset: str, own: tuple[str, ...]) -> dict[str, Any]:
    """What a run has in common with the other rows of its table."""
    common = known_settings(found, dataset)
    if row_of(found) == BEST:
        for name, value in RECIPES["best"].items():
            if common[name] == value:
                common[name] = default_settings(dataset)[name]
    return {name: value for name, value in common.items() if name not in own}


def row_of_records(records: Sequence[Record]) -> Row:
    """The runs of one row, by their seeds.

    Raises:
        InputError: They are measured on different images.
    """
    records = sorted(records, key=lambda record: record["settings"]["seed"])
    metrics = [record["metrics"] for record in records if "metrics" in record]
    images = [r["images"] if "images" in r else r["metrics"]["test_images"] for r in records]
    if len(set(images)) > 1:
        raise InputError(
            f"runs of {records[0]['cell']} are measured on different numbers of images"
        )
    correct = torch.stack([unpack(r["correct"], n) for r, n in zip(records, images, strict=True)])
    return Row(
        [record["settings"]["seed"] for record in records],
        correct.double().mean(1).tolist(),
        correct,
        metrics,
    )


def _render_recipe(target: str, dataset: str, recipe: dict[str, Any], rows: dict[Key, Row]) -> str:
    if target == "figure-3":
        raise InputError("figure 3 is a picture: scripts/reproduce.py --figure 3 draws it")
    lines = [recipe_line(target, dataset, recipe, list(rows.values()))]
    if target == "table-5":
        lines += _backbone_table(dataset, rows)
    else:
        for noise, subset in sorted({(key[1], key[4]) for key in rows}):
            part = {key[0]: row for key, row in rows.items() if (key[1], key[4]) == (noise, subset)}
            quoted = QUOTED.get(target, {}).get((dataset, noise), {})
            heading = f"{noise:.0%} wrong labels" if noise else "No wrong labels added"
            heading = printable(subset, 80) or heading
            lines += ["", f"**{heading}**", "", *_method_table(part, quoted)]
    return "\n".join(lines)


def recipe_line(target: str, dataset: str, recipe: dict[str, Any], rows: Sequence[Row]) -> str:
    """What a table shows, and the command that makes it."""
    first = rows[0]
    split = recipe["eval_split"]
    chosen = chosen_settings(recipe, dataset)
    chosen.pop("dataset", None)
    flags = "".join(f" {_flag(name, value)}" for name, value in sorted(chosen.items()))
    seeds = sorted({seed for row in rows for seed in row.seeds})
    root = "" if dataset == "digits" else " --root DATA"
    command = (
        f"scripts/reproduce.py --{target.replace('-', ' ')} --dataset {dataset}{root} "
        f"--seeds {' '.join(map(str, seeds))}{flags}"
    )
    return (
        f"Accuracy in % on {first.correct.size(1):,} images ({dataset}, {split} split), last "
        f"epoch, mean{' ± standard deviation' if len(seeds) > 1 else ''} over "
        f"{len(seeds)} seed{'s' if len(seeds) > 1 else ''}:\n\n    {command}"
    )


def _flag(name: str, value: Any) -> str:
    flag = name.replace("_", "-")
    if isinstance(value, bool):
        return f"--{flag}" if value else f"--no-{flag}"
    words = map(str, value) if isinstance(value, list) else [str(value)]
    return f"--{flag} {printable(' '.join(words), 200)}"


def _method_table(rows: dict[str, Row], quoted: dict[str, float]) -> list[str]:
    """A row a method, in the methods' order, then what is only quoted."""
    subset = not next(iter(rows.values())).metrics
    heads = ["method", "bank", "to baseline"]
    heads += [] if subset else ["shuffled", "leak", "memorized", "s/epoch"]
    heads += ["paper (quoted)"] if quoted else []
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    best = max(rows, key=lambda method: statistics.mean(rows[method].accuracy))
    for method in [m for m in ROWS if m in rows]:
        row = rows[method]
        bank = mean_and_spread(row.accuracy)
        cells = [method, f"**{bank}**" if method == best else bank]
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
    for name in [name for name in quoted if name not in ROWS]:
        lines.append(f"| {name} |" + " |" * (len(heads) - 2) + f" {quoted[name]:.2f} |")
    return [*lines, "", _standing(rows)]


def _standing(rows: dict[str, Row]) -> str:
    """Where AGFN stands, by either recipe, in words."""

    def mean(name: str) -> float:
        return statistics.mean(rows[name].accuracy)

    ours = [name for name in rows if name in ("agfn", BEST)]
    rivals = [name for name in rows if name not in ours]
    if not ours or not rivals:
        return "AGFN is not among these runs."
    rival = max(rivals, key=mean)
    sentences = []
    for name in ours:
        title = "AGFN" if name == "agfn" else "AGFN by the best recipe"
        points = 100 * (mean(name) - mean(rival))
        if points == 0:
            sentences.append(f"{title} is level with {rival}.")
            continue
        standing = "leads, ahead of" if points > 0 else "does not lead; it is behind"
        p = _p(rows[name], rows[rival])
        sentences.append(f"{title} {standing} {rival} by {abs(points):.2f} points{p}.")
    return " ".join(sentences)


def _backbone_table(dataset: str, rows: dict[Key, Row]) -> list[str]:
    lines = ["", "| network | bank | to the backbone alone | shuffled | leak | s/epoch |"]
    lines[-1] += " paper, RAF-DB (quoted) |"
    lines.append("|" + "---|" * 7)
    by_network = {(key[2], key[0]): row for key, row in rows.items()}
    for backbone in TARGETS["table-5"].varied["backbone"]:
        for method in TARGETS["table-5"].rows:
            row = by_network.get((backbone, method))
            if row is None:
                continue
            alone = by_network.get((backbone, "baseline"))
            metrics = row.metrics
            cells = [
                backbone if method == "baseline" else f"{backbone} + AGFN",
                mean_and_spread(row.accuracy),
                difference(row, alone) if method != "baseline" else "",
                mean_and_spread([m["accuracy"]["shuffled"]["mean"] for m in metrics]),
                leak_cell(metrics),
                f"{statistics.median(m['seconds_per_epoch'] for m in metrics):.1f}",
                f"{QUOTED_BACKBONES[backbone, method]:.2f}",
            ]
            lines.append("| " + " | ".join(cells) + " |")
    return lines


def mean_and_spread(shares: Sequence[float]) -> str:
    """Mean of shares in %, and over several their standard deviation."""
    values = [100 * share for share in shares]
    spread = f" ± {statistics.stdev(values):.2f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.2f}{spread}"


def leak_cell(metrics: Sequence[dict[str, Any]]) -> str:
    """Mean leak over the seeds, in points."""
    return f"{100 * statistics.mean(m['leak'] for m in metrics):+.1f}"


def memorized_cell(metrics: Sequence[dict[str, Any]]) -> str:
    """Mean share of the wrong labels that are memorized, in %; a dash where there are none."""
    shares = [m["memorized"] for m in metrics if m["memorized"] is not None]
    return f"{100 * statistics.mean(shares):.1f}%" if shares else "-"


def difference(row: Row, other: Row | None) -> str:
    """Points to another row, with the paired test's p."""
    if other is None:
        return ""
    points = 100 * (statistics.mean(row.accuracy) - statistics.mean(other.accuracy))
    return f"{points:+.2f}{_p(row, other)}"


def _p(row: Row, other: Row) -> str:
    """The paired test's p, on the seeds that both have."""
    common = [seed for seed in row.seeds if seed in other.seeds]
    if not common or row.correct.size(1) != other.correct.size(1):
        return ""
    first = row.correct[[row.seeds.index(seed) for seed in common]]
    second = other.correct[[other.seeds.index(seed) for seed in common]]
    value = paired_p_value(first, second)
    return " (p < 0.001)" if value < 0.001 else f" (p = {value:.3f})"
