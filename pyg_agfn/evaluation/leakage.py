"""Does a model's answer for an image depend on the batch composition? For any model.

Batch leakage is the accuracy in class-sorted batches minus the inductive accuracy. A model without
a reference bank has no inductive accuracy: here the accuracy in shuffled batches stands for it.
"""

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from pyg_agfn.datasets.augmentation import to_float
from pyg_agfn.evaluation.outcomes import accuracy

#: A score that moves less than this is the same score, rounded in another order.
SAME = 1e-4
#: Accuracy, 0 to 1, from which the class-sorted gain is called batch leakage.
LEAK = 0.01


@dataclass(frozen=True)
class LeakageReport:
    """What :func:`audit_batch_leakage` found; shares are 0 to 1.

    Attributes:
        shuffled: Mean accuracy in random batches.
        shuffled_std: Sample standard deviation of it over the draws.
        class_sorted: Accuracy in batches sorted by the true class.
        single: Accuracy one image at a time; None where the model cannot take one image.
        batch_change: Largest change of a probability when the batch composition changes.
        repeat_change: Largest change of a probability when the very same batch is given again.
        images: Images measured on.
    """

    shuffled: float
    shuffled_std: float
    class_sorted: float
    single: float | None
    batch_change: float
    repeat_change: float
    images: int

    @property
    def leak(self) -> float:
        """Batch leakage: accuracy in class-sorted batches minus accuracy in shuffled ones."""
        return self.class_sorted - self.shuffled

    @property
    def depends_on_batch(self) -> bool:
        """Whether the batch composition changes an answer more than repeating the batch does."""
        return self.batch_change > max(SAME, 2 * self.repeat_change)

    @property
    def leaks(self) -> bool:
        """Whether the batch composition tells about the label."""
        return self.depends_on_batch and self.leak > max(LEAK, 2 * self.shuffled_std)

    @property
    def verdict(self) -> str:
        """The finding in words and figures."""
        if not self.depends_on_batch:
            random = " beyond its own randomness" if self.repeat_change > SAME else ""
            return (
                f"No batch leakage: an image's probabilities do not depend on the others{random} "
                f"(largest change {self.batch_change:.1e}). Accuracy {self.shuffled:.2%} "
                "holds in any batch."
            )
        single = "cannot take one image" if self.single is None else f"{self.single:.2%}"
        figures = (
            f"the others move a probability by up to {self.batch_change:.2f}; accuracy is "
            f"{self.shuffled:.2%} ± {100 * self.shuffled_std:.2f} in shuffled batches, "
            f"{self.class_sorted:.2%} in class-sorted ones ({100 * self.leak:+.1f} points), "
            f"one image at a time: {single}."
        )
        if self.leaks:
            return f"BATCH LEAKAGE: the batch composition tells about the label: {figures}"
        return f"Depends on the batch, without gain from sorting it by class: {figures}"


def audit_batch_leakage(
    model: Callable[[Tensor], Tensor],
    dataset: Dataset[Any],
    batch_size: int = 64,
    draws: int = 10,
    probes: int = 16,
    seed: int = 0,
    transform: Callable[[Tensor], Tensor] = to_float,
    device: torch.device | str = "cpu",
) -> LeakageReport:
    r"""Measures how far a model's answers depend on the other images of their batch.

    The model is used as it is given: put it into evaluation mode first, or leave it in training
    mode to see what that changes. A :class:`torch.nn.Module` is copied, so that nothing of it
    changes here, its batch statistics included.

    Args:
        model: Maps a batch, :math:`(N, \ldots)`, to scores (logits), :math:`(N, K)`.
        dataset: Map-style, of pairs of an image and its label.
        batch_size: Images a batch, at least 2. (default: :obj:`64`)
        draws: Divisions into random batches. (default: :obj:`10`)
        probes: Images that are given again in ``draws`` other batches.
            (default: :obj:`16`)
        seed: Of the divisions and probes.
        transform: From images as the data set has them to what the model takes.
            (default: ``uint8`` to -1..1, as the training here does)
        device: Where the model is.

    Raises:
        ValueError: Fewer than two images, or a batch size below 2.
    """
    images, labels = _collect(dataset)
    n = len(labels)
    if n < 2 or batch_size < 2:
        raise ValueError(f"the audit needs batches of at least 2 of 2 images, got {n} images")
    if isinstance(model, nn.Module):
        model = copy.deepcopy(model)
    generator = torch.Generator().manual_seed(seed)

    @torch.no_grad()
    def scores(order: Tensor) -> Tensor:
        """Logits of images in this order, in batches, in this order."""
        parts = order.split(batch_size)
        return torch.cat(
            [model(transform(images[part]).to(device)).cpu().float() for part in parts]
        )

    def accuracy_of(order: Tensor) -> float:
        return accuracy(scores(order), labels[order])

    shuffled = torch.tensor(
        [accuracy_of(torch.randperm(n, generator=generator)) for _ in range(draws)],
        dtype=torch.float64,
    )
    class_sorted = accuracy_of(labels.argsort(stable=True))
    change, repeat = _probe(scores, n, min(batch_size, n), min(probes, n), draws, generator)
    return LeakageReport(
        shuffled=float(shuffled.mean()),
        shuffled_std=float(shuffled.std()) if draws > 1 else 0.0,
        class_sorted=class_sorted,
        single=_single(model, images, labels, transform, device),
        batch_change=change,
        repeat_change=repeat,
        images=n,
    )


def _collect(dataset: Dataset[Any]) -> tuple[Tensor, Tensor]:
    """All images and labels, (n, ...) and (n)."""
    pairs: Iterator[tuple[Tensor, Tensor]] = iter(DataLoader(dataset, batch_size=512))
    images, labels = zip(*pairs, strict=True)
    return torch.cat(images), torch.cat(labels)


def _probe(
    scores: Callable[[Tensor], Tensor],
    n: int,
    batch_size: int,
    probes: int,
    draws: int,
    generator: torch.Generator,
) -> tuple[float, float]:
    """Largest change of an image's probabilities in other batches, and in the same one again."""
    change = repeat = 0.0
    for image in torch.randperm(n, generator=generator)[:probes]:
        others = torch.arange(n)[torch.arange(n) != image]
        answers = []
        for _ in range(draws):
            chosen = others[torch.randperm(n - 1, generator=generator)[: batch_size - 1]]
            batch = torch.cat([image.view(1), chosen])
            answers.append(scores(batch)[0].softmax(0))
        again = scores(batch)[0].softmax(0)
        repeat = max(repeat, float((again - answers[-1]).abs().max()))
        change = max(change, float((torch.stack(answers) - answers[0]).abs().max()))
    return change, repeat


@torch.no_grad()
def _single(
    model: Callable[[Tensor], Tensor],
    images: Tensor,
    labels: Tensor,
    transform: Callable[[Tensor], Tensor],
    device: torch.device | str,
) -> float | None:
    try:
        logits = [model(transform(images[i : i + 1]).to(device)).cpu() for i in range(len(labels))]
    except (ValueError, RuntimeError):  # batch normalization in training mode, for one
        return None
    return accuracy(torch.cat(logits), labels)
