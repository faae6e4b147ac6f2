"""The audit of labels by a model's probabilities, by features, or by both."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from pyg_agfn.audit.check_input import as_tensor, check_each_probability, check_share, texts
from pyg_agfn.audit.interval import share_and_interval
from pyg_agfn.audit.label_audit import AuditRow, LabelAudit, NearDuplicate, no_pixels
from pyg_agfn.audit.near_duplicates import find_near_duplicates
from pyg_agfn.audit.neighbors import NUM_NEIGHBORS, find_neighbors
from pyg_agfn.audit.scores import calibrate_scores, combine_scores, label_issue_scores
from pyg_agfn.errors import InputError
from pyg_agfn.evaluation.label_issues import check_labels
from pyg_agfn.transforms import SimilarityEdges

#: Trusted neighbours of a row.
TRUSTED = 3


def audit_labels(
    *,
    labels: Any,
    features: Any = None,
    probabilities: Any = None,
    epoch_probability: Any = None,
    names: Sequence[str] | None = None,
    classes: Sequence[str] | None = None,
    share: float | None = None,
    k: int = NUM_NEIGHBORS,
    edges: SimilarityEdges | None = None,
    appearance: Any = None,
    pixels: Callable[[Sequence[str]], Tensor] = no_pixels,
) -> LabelAudit:
    r"""Finds the labels that are likely wrong, by a model's probabilities, by features, or by both.

    A model that has memorized a wrong label is sure of it. Give probabilities of a model that does
    not memorize, such as one trained by ``agfn-nlc``, or of models that have not seen the image.
    Features may be of any model; what their neighbours say of an image leaves its own label out.

    Arrays may be NumPy's or tensors.

    Args:
        labels: Labels as given, 0 to K - 1.
        features: Of each image.
        probabilities: Of the classes, by a model; rows sum to 1.
        epoch_probability: Mean over the epochs of a training of the probability of the given
            label, which is low for wrong labels even where they are memorized in the end; NaN
            where it is not known. The score is the mean of it and of the model's.
        names: What the images are called. (default: their positions)
        classes: Names of the classes. (default: their numbers)
        share: Share of the labels that counts as wrong. (default: an estimate,
            :func:`~pyg_agfn.audit.interval.share_and_interval`)
        k: Neighbours that vote. (default: :obj:`10`)
        edges: Graph generator whose expected edges weigh the neighbours.
        appearance: Vectors by which near duplicates are found. (default: the features)
        pixels: Reads images by name, for pages and pictures.

    Shapes:
        - **input:** labels :math:`(N)`, features :math:`(N, F)`, probabilities :math:`(N, K)`,
          epoch_probability :math:`(N)`, appearance :math:`(N, A)`

    Raises:
        InputError: Arrays that are none or do not fit each other, neither features nor
            probabilities, one class, or too few images to estimate the share.

    Example:
        >>> audit = audit_labels(features=embeddings, labels=labels, names=files)
        >>> print(audit.summary())
        >>> audit.to_csv("label_issues.csv")
    """
    if features is None and probabilities is None:
        raise InputError("give features, probabilities or both to audit labels by")
    labels = as_tensor(labels)
    if share is not None:
        check_share(share)
    model = None if probabilities is None else as_tensor(probabilities)
    over_epochs = None
    if epoch_probability is not None:
        over_epochs = check_each_probability(as_tensor(epoch_probability), labels.numel())
    num_classes = _num_classes(labels, model, classes)
    if model is not None:
        label_issue_scores(model, labels)  # checks both
    check_labels(labels, labels.numel(), num_classes)
    labels = labels.long()
    if num_classes < 2 or len(labels.unique()) < 2:
        raise InputError("all labels are of one class: there is no other to compare with")
    names = texts("names", names, len(labels), "images")
    classes = texts("classes", classes, num_classes, "classes")
    found = None
    if features is not None:
        features = torch.as_tensor(features).detach()  # on a GPU, if that is where they are
        found = find_neighbors(features, labels, num_classes, k, edges)
    posterior = None if found is None else found.posterior.cpu()

    source = posterior if posterior is not None else model
    assert source is not None
    rate, interval = share_and_interval(labels, posterior, model, share)
    scores = calibrate_scores(combine_scores(model, posterior, labels, over_epochs), rate)
    suggested = (model if model is not None else source).argmax(1)
    order = scores.argsort(descending=True, stable=True)
    is_issue = torch.zeros(len(labels), dtype=torch.bool)
    is_issue[order[: round(rate * len(labels))]] = True
    is_issue &= suggested != labels  # no other label is suggested of these
    nearest = None if found is None else found.nearest.cpu()
    unknown = torch.full((len(labels),), torch.nan)
    columns = (
        labels,
        suggested,
        scores,
        is_issue,
        _own(model, labels),
        unknown if over_epochs is None else over_epochs,
        _own(posterior, labels),
    )
    rows = [
        AuditRow(rank, names[i], classes[given], classes[likeliest], *found)
        for rank, (i, given, likeliest, *found) in enumerate(
            zip(
                order.tolist(),
                *(column[order].tolist() for column in columns),
                _trusted(nearest, is_issue, order, names),
                strict=True,
            ),
            1,
        )
    ]
    vectors = features if appearance is None else as_tensor(appearance)
    return LabelAudit(
        rows,
        tuple(classes),
        rate,
        interval,
        _near_duplicates(vectors, labels, names, classes),
        pixels,
        order.tolist(),
    )


def _num_classes(labels: Tensor, model: Tensor | None, classes: Sequence[str] | None) -> int:
    if model is not None and model.dim() == 2:
        return model.size(1)
    if classes is not None:
        return len(classes)
    return int(labels.max()) + 1 if labels.numel() else 0


def _own(distribution: Tensor | None, labels: Tensor) -> Tensor:
    """The probability of each given label; NaN where it is not known."""
    if distribution is None:
        return torch.full((len(labels),), torch.nan)
    return distribution.gather(1, labels.unsqueeze(1)).squeeze(1)


def _trusted(
    nearest: Tensor | None, is_issue: Tensor, order: Tensor, names: Sequence[str]
) -> list[tuple[str, ...]]:
    """Names of the nearest images whose labels are no issues, by rank."""
    if nearest is None:
        return [()] * len(order)
    # Trusted ones come first, the nearest of them in front.
    first = is_issue[nearest].int().argsort(dim=1, stable=True)[:, :TRUSTED]
    chosen = nearest.gather(1, first)[order]
    counts = (~is_issue[chosen]).sum(1).tolist()
    return [
        tuple(names[i] for i in row[:count])
        for row, count in zip(chosen.tolist(), counts, strict=True)
    ]


def _near_duplicates(
    vectors: Tensor | None, labels: Tensor, names: Sequence[str], classes: Sequence[str]
) -> list[NearDuplicate]:
    if vectors is None:
        return []
    if len(vectors) != len(labels):
        raise InputError(f"appearance must be of {len(labels):,} images, got {len(vectors):,}")
    pairs, cosines = find_near_duplicates(vectors, labels)
    return [
        NearDuplicate(
            (names[a], names[b]), (classes[int(labels[a])], classes[int(labels[b])]), cosine
        )
        for (a, b), cosine in zip(pairs.tolist(), cosines.tolist(), strict=True)
    ]
