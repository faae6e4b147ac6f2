"""Evaluation that says in which company each image was classified."""

from pyg_agfn.evaluation.features import extract_features
from pyg_agfn.evaluation.leakage import LeakageReport, audit_batch_leakage
from pyg_agfn.evaluation.protocols import (
    Bank,
    ClassSorted,
    Outcome,
    Protocol,
    Shuffled,
    Single,
    evaluate,
    standard_protocols,
)
from pyg_agfn.evaluation.scores import (
    Comparison,
    Scores,
    compare,
    memorized_share,
    paired_p_value,
    score,
)

__all__ = [
    "Bank",
    "ClassSorted",
    "Comparison",
    "LeakageReport",
    "Outcome",
    "Protocol",
    "Scores",
    "Shuffled",
    "Single",
    "audit_batch_leakage",
    "compare",
    "evaluate",
    "extract_features",
    "memorized_share",
    "paired_p_value",
    "score",
    "standard_protocols",
]
