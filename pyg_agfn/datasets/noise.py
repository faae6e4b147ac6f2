"""Label noise, injected at random: symmetric, pair flips, or by what an image looks like."""

import torch
from torch import Tensor

from pyg_agfn.choices import NoiseKind
from pyg_agfn.errors import InputError
from pyg_agfn.generators import generator_for

#: Standard deviation of the images' own flip rates in instance-dependent noise.
RATE_STD = 0.1
#: Most bytes of images that are projected at once.
BLOCK_BYTES = 1 << 26


def make_noise(
    kind: NoiseKind, labels: Tensor, ratio: float, num_classes: int, seed: int, images: Tensor
) -> Tensor:
    r"""Labels with noise of a kind, by its name in ``--noise-kind``.

    Shapes:
        - **input:** labels :math:`(n)`, images ``uint8`` :math:`(n, C, H, W)`
        - **output:** :math:`(n)`

    Raises:
        InputError: An unknown kind; or as the function of the kind.
    """
    if kind == "symmetric":
        return inject_label_noise(labels, ratio, num_classes, seed)
    if kind == "pair":
        return pair_flip_noise(labels, ratio, num_classes, seed)
    if kind == "instance":
        return instance_dependent_noise(labels, ratio, num_classes, seed, images)
    raise InputError(f"noise kind must be symmetric, pair or instance, got {kind!r}")


def inject_label_noise(labels: Tensor, ratio: float, num_classes: int, seed: int) -> Tensor:
    r"""Symmetric noise: exactly ``round(ratio * n)`` labels become wrong.

    Each of them becomes a uniformly drawn *other* class.

    Args:
        labels (Tensor): True labels, 0 to ``num_classes - 1``. They are left as they are, so that
            ``labels != noisy`` marks the wrong ones.
        ratio (float): Share of labels to make wrong, 0 to 1.
        num_classes (int): Number of classes, at least 2.
        seed (int): Of a generator of its own: the global one is neither read nor moved.

    Shapes:
        - **input, output:** :math:`(n)`, ``int64``

    Raises:
        InputError: A ratio, number of classes or label out of its range.
    """
    labels = _checked(labels, ratio, num_classes)
    generator = torch.Generator().manual_seed(seed)
    chosen = _choose(len(labels), ratio, generator)
    # A step of 1 to K - 1 around the circle of classes never comes back to the start.
    step = torch.randint(1, num_classes, (len(chosen),), generator=generator)
    noisy = labels.clone()
    noisy[chosen] = (labels[chosen] + step) % num_classes
    return noisy


def pair_flip_noise(labels: Tensor, ratio: float, num_classes: int, seed: int) -> Tensor:
    r"""Pair flips: exactly ``round(ratio * n)`` labels become the next class, the last the first.

    For one seed the same images are wrong as by :func:`inject_label_noise`.

    Source: Han et al., *Co-teaching: Robust Training of Deep Neural Networks with Extremely Noisy
    Labels*, NeurIPS 2018, Section 4 ("pair flipping"). There each label flips by itself.

    Arguments, shapes and errors are those of :func:`inject_label_noise`.
    """
    labels = _checked(labels, ratio, num_classes)
    chosen = _choose(len(labels), ratio, torch.Generator().manual_seed(seed))
    noisy = labels.clone()
    noisy[chosen] = (labels[chosen] + 1) % num_classes
    return noisy


def instance_dependent_noise(
    labels: Tensor, ratio: float, num_classes: int, seed: int, images: Tensor
) -> Tensor:
    r"""Instance-dependent noise: what an image looks like decides which class it is taken for.

    Each image has a flip rate of its own, and each class a random projection of the pixels,

    .. math::
        \rho_i \sim \mathcal{N}_{[0, 1]}(\rho, 0.1^2), \qquad
        W_k \in \mathbb{R}^{D \times K},\ W_k \sim \mathcal{N}(0, 1), \qquad
        P(\tilde{y}_i = k) = \rho_i \, \mathrm{softmax}_{k \neq y_i}(x_i W_{y_i})_k

    with pixels :math:`x_i` from 0 to 1, and :math:`P(\tilde{y}_i = y_i) = 1 - \rho_i`. Images
    of a class that look alike are taken for the same wrong classes. The share of wrong labels is
    not exactly :math:`\rho`: the truncated normal's mean is above it where :math:`\rho` is small,
    by 0.006 at 0.2 and by 0.029 at 0.1.

    Source: Xia et al., *Part-dependent Label Noise: Towards Instance-dependent Label Noise*,
    NeurIPS 2020, Algorithm 2.

    Memory is bounded: one :math:`W_k` and 64 MiB of images are held at a time, in ``float64``, so
    that the way of summing changes no label.

    Args:
        labels (Tensor): True labels, 0 to ``num_classes - 1``. They are left as they are.
        ratio (float): :math:`\rho`, 0 to 1; with 0 no label becomes wrong.
        num_classes (int): Number of classes, at least 2.
        seed (int): Of a generator of its own: the global one is neither read nor moved.
        images (Tensor): As they are stored.

    Shapes:
        - **input:** :math:`(n)`, ``int64``, and ``uint8`` :math:`(n, C, H, W)`
        - **output:** :math:`(n)`, ``int64``

    Raises:
        InputError: A ratio, number of classes or label out of its range.
    """
    labels = _checked(labels, ratio, num_classes)
    noisy = labels.clone()
    if not ratio:
        return noisy
    generator = generator_for("instance noise", seed)
    rates = _flip_rates(len(labels), ratio, generator)
    lot = torch.rand(len(labels), dtype=torch.float64, generator=generator)
    num_pixels = images[:1].numel()
    for label in range(num_classes):
        projection = torch.randn(num_pixels, num_classes, generator=generator).double()
        flipped = ((labels == label) & (lot < rates)).nonzero().flatten()
        for rows in flipped.split(max(1, BLOCK_BYTES // (8 * max(1, num_pixels)))):
            logits = (images[rows].flatten(1).double() / 255) @ projection
            logits[:, label] = -torch.inf
            reached = logits.softmax(1).cumsum(1)
            # The last sum is 1 but for rounding, and the lot of a flipped label is below its rate.
            share = (lot[rows] / rates[rows]).unsqueeze(1) * reached[:, -1:]
            noisy[rows] = (reached <= share).sum(1)
    return noisy


def _flip_rates(count: int, mean: float, generator: torch.Generator) -> Tensor:
    """Draws of a normal distribution that is cut off at 0 and 1, by the inverse of its CDF."""
    ends = (torch.tensor([0.0, 1.0], dtype=torch.float64) - mean) / RATE_STD
    low, high = torch.special.ndtr(ends)
    drawn = torch.rand(count, dtype=torch.float64, generator=generator)
    rates = mean + RATE_STD * torch.special.ndtri(low + drawn * (high - low))
    return rates.clamp(0, 1)


def _choose(count: int, ratio: float, generator: torch.Generator) -> Tensor:
    """Which labels become wrong: exactly their share."""
    return torch.randperm(count, generator=generator)[: round(ratio * count)]


def _checked(labels: Tensor, ratio: float, num_classes: int) -> Tensor:
    """The labels as numbers.

    Raises:
        InputError: A ratio, number of classes or label out of its range.
    """
    labels = torch.as_tensor(labels, dtype=torch.long)
    if not 0 <= ratio <= 1:
        raise InputError(f"noise ratio must be between 0 and 1, got {ratio}")
    if num_classes < 2:
        raise InputError(f"label noise needs at least 2 classes, got {num_classes}")
    if labels.numel() and not 0 <= int(labels.min()) <= int(labels.max()) < num_classes:
        raise InputError(
            f"labels must be 0 to {num_classes - 1}, got {int(labels.min())} to {int(labels.max())}"
        )
    return labels
