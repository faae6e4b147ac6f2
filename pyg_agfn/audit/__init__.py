"""Finds the wrong labels of any labelled images."""

from typing import TYPE_CHECKING

from pyg_agfn.lazy import lazy

if TYPE_CHECKING:
    from pyg_agfn.audit.audit import audit_labels as audit_labels
    from pyg_agfn.audit.cleanlab import from_cleanlab as from_cleanlab
    from pyg_agfn.audit.label_audit import AuditRow as AuditRow
    from pyg_agfn.audit.label_audit import LabelAudit as LabelAudit
    from pyg_agfn.audit.label_audit import NearDuplicate as NearDuplicate
    from pyg_agfn.audit.scores import label_issue_scores as label_issue_scores
    from pyg_agfn.audit.scores import neighbor_label_scores as neighbor_label_scores

_HOMES = {
    "audit": ("audit_labels",),
    "cleanlab": ("from_cleanlab",),
    "label_audit": ("AuditRow", "LabelAudit", "NearDuplicate"),
    "scores": ("label_issue_scores", "neighbor_label_scores"),
}
__all__ = sorted(name for names in _HOMES.values() for name in names)
__getattr__, __dir__ = lazy(__name__, _HOMES)
