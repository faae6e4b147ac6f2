"""What runs measured, side by side: a column for each protocol."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from pyg_agfn.choices import run_label
from pyg_agfn.errors import printable
from pyg_agfn.evaluation.protocols import SORTED
from pyg_agfn.registry import PROTOCOLS

CAPTION = (
    "bank: inductive accuracy, each image with training images only (reference bank); shuffled: in "
    "random test batches, mean ± std; single: by itself; leak: batch leakage, points that sorting "
    "the batches by class would add to the inductive accuracy; memorized: wrong training labels "
    "that the model predicts"
)


def results_table(results: Sequence[Mapping[str, Any]]) -> Table:
    """Every run's metrics, as its ``metrics.json`` holds them, side by side.

    Class-sorted batches have no column of their own: they are no result but the leakage. A run
    without test images has dashes.

    Raises:
        AttributeError, KeyError, TypeError, ValueError, ArithmeticError: It is not what a run
            measures.
    """
    first = results[0]
    table = Table(
        box=None,
        padding=(0, 1, 0, 0),  # the built-in protocols' columns fit into 80 characters
        title=f"{printable(first['dataset'])}, {first['noise']:.0%} wrong labels, "
        f"{first['epochs']:,} epochs: "
        f"accuracy in % on {first['test_images']:,} {printable(first['split'])} images",
        caption=CAPTION,
    )
    protocols = [name for name in PROTOCOLS if name != SORTED]
    table.add_column("method", no_wrap=True)
    for heading in (*protocols, "leak", "memorized", "α", "β", "s/epoch"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in results:
        label, memorized = run_label(row["method"], row.get("recipe")), row["memorized"]
        table.add_row(
            printable(label),
            *(_accuracy(row, name) for name in protocols),
            f"{100 * row['leak']:+.1f}" if _is_measured(row) else "-",
            "-" if memorized is None else f"{100 * memorized:.1f}",
            *("-" if row[name] is None else f"{row[name]:.3f}" for name in ("alpha", "beta")),
            f"{row['seconds_per_epoch']:.1f}",
        )
    return table


def _is_measured(row: Mapping[str, Any]) -> bool:
    """Whether there were images to measure on, which a training in Python may do without."""
    return bool(row["test_images"])


def _accuracy(row: Mapping[str, Any], protocol: str) -> str:
    if not _is_measured(row):
        return "-"
    measured = row["accuracy"]
    if protocol not in measured and PROTOCOLS.plugin_of(protocol) is not None:
        return "-"  # the run was measured without this plugin
    found = measured[protocol]
    if isinstance(found, dict):
        return f"{_percent(found['mean'])} ± {_percent(found['std'])}"
    return _percent(found)


def _percent(share: float) -> str:
    return f"{100 * share:.2f}"
