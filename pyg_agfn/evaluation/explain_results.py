"""What a reader sees in the figures of runs, one sentence each."""

from collections.abc import Mapping, Sequence
from typing import Any

from pyg_agfn.choices import run_label
from pyg_agfn.evaluation.protocols import HEADLINE
from pyg_agfn.registry import METHODS


def explain_results(results: Sequence[Mapping[str, Any]]) -> list[str]:
    """A sentence on each run: its method, its inductive accuracy, and what it has memorized.

    Args:
        results: As each ``metrics.json`` holds them.
    """
    return [_sentence(row) for row in results]


def _sentence(row: Mapping[str, Any]) -> str:
    name = run_label(row["method"], row.get("recipe"))
    summary = METHODS[name].summary if name in METHODS else ""
    sentence = f"{name}: {summary}" if summary else name
    if HEADLINE in row.get("accuracy", {}):
        sentence += f"; it classifies {row['accuracy'][HEADLINE]:.1%} of the test images rightly"
    if row["memorized"] is not None:
        sentence += f", and has memorized {row['memorized']:.1%} of the wrong training labels"
    if row.get("noise_rate") is not None:
        sentence += f"; it estimates that {row['noise_rate']:.1%} of the labels are wrong"
    return f"{sentence}."
