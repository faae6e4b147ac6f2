"""t-SNE of features: scikit-learn's for a few thousand points, openTSNE's for more."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from torch import Tensor

#: Above this, scikit-learn takes minutes and openTSNE seconds.
MANY_POINTS = 5000
#: t-SNE is run on this many principal components, as is usual.
COMPONENTS = 50


def embed(features: Tensor, seed: int = 0) -> NDArray[Any]:
    r"""Positions :math:`(n, 2)` of features :math:`(n, F)` by t-SNE, perplexity 30 or less.

    Raises:
        ValueError: Fewer than four samples.
    """
    x = features.double().numpy()
    n = len(x)
    if n < 4:
        raise ValueError(f"t-SNE needs at least 4 samples, got {n}")
    x = PCA(min(COMPONENTS, n, x.shape[1]), random_state=seed).fit_transform(x)
    perplexity = min(30.0, (n - 1) / 3)
    if n > MANY_POINTS:
        import openTSNE

        many = openTSNE.TSNE(perplexity=perplexity, random_state=seed).fit(x)
        return np.asarray(many)
    found: NDArray[Any] = TSNE(perplexity=perplexity, init="pca", random_state=seed).fit_transform(
        x
    )
    return found
