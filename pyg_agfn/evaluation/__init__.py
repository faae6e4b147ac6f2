"""Evaluation that says in which batch composition each image was classified."""

from pyg_agfn.evaluation.features import extract_features
from pyg_agfn.evaluation.label_issues import label_issue_scores
from pyg_agfn.evaluation.leakage import LeakageReport, audit_batch_leakage
from pyg_agfn.evaluation.outcomes import (
    Outcome,
    batch_leakage,
    evaluate,
    evaluate_protocols,
    mean_class_accuracy,
    standard_protocols,
)
from pyg_agfn.evaluation.protocols import (
    HEADLINE,
    Bank,
    ClassSorted,
    EvaluationSettings,
    Protocol,
    Shuffled,
    Single,
    joins_images,
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
    "HEADLINE",
    "Bank",
    "ClassSorted",
    "Comparison",
    "EvaluationSettings",
    "LeakageReport",
    "Outcome",
    "Protocol",
    "Scores",
    "Shuffled",
    "Single",
    "audit_batch_leakage",
    "batch_leakage",
    "compare",
    "evaluate",
    "evaluate_protocols",
    "extract_features",
    "joins_images",
    "label_issue_scores",
    "mean_class_accuracy",
    "memorized_share",
    "paired_p_value",
    "score",
    "standard_protocols",
]
