"""The audit as a picture: which classes are mistaken for which, and the scores with their cut."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import StrMethodFormatter

from pyg_agfn.audit.label_audit import LabelAudit
from pyg_agfn.visualization.fonts import drawn_text

#: Most classes of the matrix: of more, those of the most issues are drawn.
MOST_CLASSES = 30
#: Bars of the histogram.
BARS = 40
BLUE, ORANGE = "#0072B2", "#D55E00"


def plot_audit(audit: LabelAudit, path: Path, title: str = "") -> None:
    """Draws the issues by given and suggested label, and the histogram of all scores.

    Args:
        audit: The findings.
        path: Picture to write; the ending sets the format.
        title: Headline of the picture.
    """
    matrix = audit.issue_matrix().numpy()
    most = np.argsort(-(matrix.sum(0) + matrix.sum(1)), kind="stable")[:MOST_CLASSES]
    drawn = np.sort(most)
    names = [audit.classes[i] for i in drawn]
    matrix = matrix[np.ix_(drawn, drawn)]
    side = 3 + 0.35 * len(names)
    with drawn_text(title, *names) as shown:
        figure = Figure(figsize=(side + 5, max(side, 4)), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=(side, 5))
        left.imshow(matrix, cmap="Blues")
        labels = [shown(name, 24) for name in names]
        left.set_xticks(range(len(names)), labels, rotation=45, ha="right")
        left.set_yticks(range(len(names)), labels)
        left.set_xlabel("suggested label")
        left.set_ylabel("given label")
        left.set_title("issues by class pair", loc="left", fontsize=10)
        for (row, column), count in np.ndenumerate(matrix):
            if count:
                color = "white" if count > matrix.max() / 2 else "black"
                left.text(column, row, f"{count:,}", ha="center", va="center", color=color)
        scores = [np.array([r.score for r in audit.rows if r.is_issue is x]) for x in (False, True)]
        right.hist(
            scores,
            bins=np.linspace(0, 1, BARS + 1).tolist(),
            stacked=True,
            color=[BLUE, ORANGE],
            label=[f"no issue ({len(scores[0]):,})", f"issue ({len(scores[1]):,})"],
        )
        if len(scores[1]):
            cut = float(scores[1].min())
            right.axvline(cut, color="black", linestyle="--", label=f"cut at {cut:.3f}")
        right.set_yscale("log")
        right.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        right.set_xlabel("probability that the given label is wrong")
        right.set_ylabel("labels")
        right.legend(frameon=False)
        low, high = audit.interval
        estimate = f"{audit.noise_rate:.1%} wrong, 95%: {low:.1%} to {high:.1%}"
        right.set_title(estimate, loc="left", fontsize=10)
        figure.suptitle(shown(title, 200), x=0.01, ha="left")
        figure.savefig(path, dpi=150)
