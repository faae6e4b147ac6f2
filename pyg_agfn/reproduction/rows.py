"""What the tables of results are made of: rows of runs, and cells with their figures."""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pyg_agfn.cli import flag_of
from pyg_agfn.errors import InputError, printable
from pyg_agfn.evaluation import paired_p_value
from pyg_agfn.reproduction.grid import QUICK, QUICK_MARK, default_settings, is_quick
from pyg_agfn.reproduction.results_file import Record, unpack
from pyg_agfn.reproduction.suites import SUITES
from pyg_agfn.reproduction.target import NLC


@dataclass(frozen=True)
class Row:
    """The runs of one row and setting, one a seed.

    Attributes:
        seeds: In ascending order.
        accuracy: Inductive accuracy, 0 to 1, one a seed.
        correct: Whether each image is classified rightly, (seeds, images).
        metrics: One a seed; empty for a subset.
        quick: Whether the runs are try-outs. Their figures mean nothing, so they get no p-values.
    """

    seeds: list[int]
    accuracy: list[float]
    correct: Tensor
    metrics: list[dict[str, Any]]
    quick: bool = False


def row_of_records(records: Sequence[Record]) -> Row:
    """The runs of one row, in the order of their seeds; of several of one seed the last.

    Raises:
        InputError: They are measured on different images.
    """
    by_seed = {record["settings"]["seed"]: record for record in records}
    records = [by_seed[seed] for seed in sorted(by_seed)]
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
        any(is_quick(record["settings"]) for record in records),
    )


def of_common_seeds(rows: Sequence[Row]) -> list[Row]:
    """The rows with the seeds only that all of them have; no rows if there is no such seed."""
    common = sorted(set.intersection(*(set(row.seeds) for row in rows))) if rows else []
    return [_of_seeds(row, common) for row in rows] if common else []


def _of_seeds(row: Row, seeds: list[int]) -> Row:
    found = [row.seeds.index(seed) for seed in seeds]
    accuracy = [row.accuracy[i] for i in found]
    metrics = [row.metrics[i] for i in found] if row.metrics else []
    return Row(seeds, accuracy, row.correct[found], metrics, row.quick)


def nothing_finished(target: str, dataset: str) -> InputError:
    """The error that a table has no run yet, with the command that makes it."""
    return InputError(f"no finished run of {target} on {dataset}: run {command(target, dataset)}")


def command(target: str, dataset: str) -> str:
    """The command that makes a table, without its options."""
    if target in SUITES:
        needed = [*SUITES[target].needs, *(["root"] if dataset != "digits" else [])]
        places = {"root": "DATA", "weights": "FILE"}
        more = "".join(f" --{name} {places[name]}" for name in needed)
        more += " --noise-files FILE ..." if "noise_file" in SUITES[target].varied else ""
        return f"scripts/reproduce.py --suite {target}{more}"
    root = "" if dataset == "digits" else " --root DATA"
    lists = " --list FILE" if target in ("table-3", "table-4") else ""
    return f"scripts/reproduce.py --{target.replace('-', ' ')} --dataset {dataset}{root}{lists}"


def settings_line(
    target: str,
    dataset: str,
    chosen: dict[str, Any],
    rows: Sequence[Row],
    split: str = "",
    epochs: str = "last epoch",
) -> str:
    """What a table shows, and the command that makes it.

    Args:
        target: Its name on the command line.
        dataset: Its data set.
        chosen: The settings of all its runs that are no defaults.
        rows: Its rows.
        split: The images that were measured, where ``chosen`` does not tell.
        epochs: Those that its main figures are of.
    """
    first, chosen = rows[0], dict(chosen)
    split = split or chosen.get("eval_split", default_settings(dataset)["eval_split"])
    tryout = any(row.quick for row in rows)
    if tryout:
        for name in (*QUICK, "train_size"):
            chosen.pop(name, None)
    flags = " --quick" if tryout else ""
    flags += "".join(f" {_flag(name, value)}" for name, value in sorted(chosen.items()))
    seeds = sorted({seed for row in rows for seed in row.seeds})
    typed = f"{command(target, dataset)} --seeds {' '.join(map(str, seeds))}{flags}"
    mark = f"**{QUICK_MARK}: these figures mean nothing.** " if tryout else ""
    return (
        f"{mark}Accuracy in % on {first.correct.size(1):,} images ({dataset}, {split} split), "
        f"{epochs}, mean{' ± standard deviation' if len(seeds) > 1 else ''} over "
        f"{len(seeds)} seed{'s' if len(seeds) > 1 else ''}:\n\n    {typed}"
    )


def _flag(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return flag_of(name if value else f"no_{name}")
    words = map(str, value) if isinstance(value, list) else [str(value)]
    return f"{flag_of(name)} {printable(' '.join(words), 200)}"


def mean_and_spread(shares: Sequence[float]) -> str:
    """The mean of shares in %, and the standard deviation if there are several."""
    values = [100 * share for share in shares]
    spread = f" ± {statistics.stdev(values):.2f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.2f}{spread}"


def leak_cell(metrics: Sequence[dict[str, Any]]) -> str:
    """Mean batch leakage over the seeds, in points."""
    return f"{100 * statistics.mean(m['leak'] for m in metrics):+.1f}"


def memorized_cell(metrics: Sequence[dict[str, Any]]) -> str:
    """Mean share of the wrong labels that are memorized, in %; a dash where there are none."""
    shares = [m["memorized"] for m in metrics if m["memorized"] is not None]
    return f"{100 * statistics.mean(shares):.1f}%" if shares else "-"


def seeds_note(row: Row, rows: Iterable[Row]) -> str:
    """The seeds of a row that lacks some of the other rows' seeds; empty if it lacks none."""
    if {seed for other in rows for seed in other.seeds} == set(row.seeds):
        return ""
    return f" (seed{'s' if len(row.seeds) > 1 else ''} {', '.join(map(str, row.seeds))})"


def difference(row: Row, other: Row | None) -> str:
    """Points ahead of another row and the paired test's p, on the seeds that both have, if any."""
    if other is None:
        return ""
    return f"{points_to(row, other):+.2f}{p_value(row, other)}"


def points_to(row: Row, other: Row) -> float:
    """Points by which a row's mean exceeds another's, on the seeds that both have, if any."""
    first, second = of_common_seeds([row, other]) or (row, other)
    return 100 * (statistics.mean(first.accuracy) - statistics.mean(second.accuracy))


def p_value(row: Row, other: Row) -> str:
    """The paired test's p in brackets, if there is one."""
    value = paired_p(row, other)
    if value is None:
        return ""
    return " (p < 0.001)" if value < 0.001 else f" (p = {value:.3f})"


def paired_p(row: Row, other: Row) -> float | None:
    """The paired test's p on the seeds that both rows have.

    None if they have no seed in common, or are try-outs.
    """
    if row.quick or other.quick:
        return None
    common = of_common_seeds([row, other])
    if not common or row.correct.size(1) != other.correct.size(1):
        return None
    return paired_p_value(common[0].correct, common[1].correct)


def standing(rows: dict[str, Row]) -> str:
    """Where AGFN stands, with corrected labels and without, in words."""

    def mean(name: str) -> float:
        return statistics.mean(rows[name].accuracy)

    if any(row.quick for row in rows.values()):
        return f"A {QUICK_MARK} does not tell where AGFN stands."
    ours = [name for name in rows if name in ("agfn", NLC)]
    others = [name for name in rows if name not in ours]
    if not ours:
        return "AGFN is not among these runs."
    if not others:
        return "No other method is among these runs."
    other = max(others, key=mean)
    sentences = []
    for name in ours:
        title = "AGFN" if name == "agfn" else "AGFN with corrected labels"
        points = points_to(rows[name], rows[other])
        if points == 0:
            sentences.append(f"{title} is level with {other}.")
            continue
        standing = "leads, ahead of" if points > 0 else "does not lead; it is behind"
        p = p_value(rows[name], rows[other])
        sentences.append(f"{title} {standing} {other} by {abs(points):.2f} points{p}.")
    return " ".join(sentences)
