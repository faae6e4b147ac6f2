"""t-SNE of features: scikit-learn's for a few thousand points, openTSNE's for more."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from torch import Tensor

from pyg_agfn.choices import SEED_LIMIT as SEED_LIMIT
from pyg_agfn.evaluation.separation import centered
from pyg_agfn.extras import require

#: Above this number of points scikit-learn takes minutes and openTSNE seconds.
MANY_POINTS = 5000
#: t-SNE runs on this many principal components, as is usual.
COMPONENTS = 50
#: Fewer points than this have no neighbourhoods, so their principal components are shown.
FEWEST = 4


def embed(features: Tensor, seed: int = 0) -> NDArray[Any]:
    r"""Positions :math:`(n, 2)` of features :math:`(n, F)` by t-SNE, perplexity 30 or less.

    Equal features have one position, and their number does not change the picture. For fewer than
    four different features the positions are the principal components, because t-SNE needs
    neighbourhoods.

    Args:
        features: One row for each image; their scale does not matter.
        seed: The seed of t-SNE, at least 0 and below 2^32.

    Raises:
        ValueError: A feature is not finite, or the seed is out of range.
    """
    if not 0 <= seed < SEED_LIMIT:
        raise ValueError(f"seed must be at least 0 and below 2^32, got {seed}")
    every = centered(features)
    distinct, place = np.unique(every, axis=0, return_inverse=True)
    if len(distinct) == len(every):  # keep their order: the draws depend on it
        distinct, place = every, np.arange(len(every))
    if len(distinct) < 2:
        return np.zeros((len(features), 2))
    kept = min(COMPONENTS, *distinct.shape)
    x = PCA(kept, random_state=seed).fit_transform(distinct)
    positions = _pad(x) if len(distinct) < FEWEST else _tsne(x, seed)
    return np.asarray(positions[place.reshape(-1)])


def _tsne(x: NDArray[Any], seed: int) -> NDArray[Any]:
    perplexity = min(30.0, (len(x) - 1) / 3)
    # Both libraries start from principal components. With a single component all points would
    # lie on a line and could not pass each other, so a little noise is added.
    start = _pad(x)
    start = start / start[:, 0].std() * 1e-4
    start += np.random.default_rng(seed).normal(0, 1e-6, start.shape)
    if len(x) > MANY_POINTS:
        require("openTSNE")
        import openTSNE

        many = openTSNE.TSNE(perplexity=perplexity, initialization=start, random_state=seed)
        return np.asarray(many.fit(x))
    found: NDArray[Any] = TSNE(
        perplexity=perplexity, init=start.astype(np.float32), random_state=seed
    ).fit_transform(x)
    return found


def _pad(x: NDArray[Any]) -> NDArray[Any]:
    """The first two columns; a missing second one is zeros."""
    return np.pad(x[:, :2], ((0, 0), (0, max(0, 2 - x.shape[1]))))
