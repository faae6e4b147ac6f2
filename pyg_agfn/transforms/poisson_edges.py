"""The Poisson graph generator: a stochastic graph whose two parameters are learned.

Source: Du, Wang, Xiong, *Adaptive Graph-Based Feature Normalization for Facial Expression
Recognition*, Sections 3.1 and 3.3. The functions are the equations, the class is the transform.
"""

from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.utils.data import get_worker_info
from torch_geometric.data.datapipes import functional_transform

from pyg_agfn.transforms.checks import (
    check_choice,
    check_count,
    check_nodes,
    check_number,
)
from pyg_agfn.transforms.estimators import scale_gradient, straight_through
from pyg_agfn.transforms.similarity_edges import (
    MODES,
    Mode,
    Pairs,
    SimilarityEdges,
    cosine_similarity,
    same_graph,
)

Estimator = Literal["identity", "probability"]


def poisson_rate(similarity: Tensor, alpha: Tensor | float, beta: Tensor | float) -> Tensor:
    r"""Poisson rate of each pair, :math:`\lambda = \alpha\,\mathrm{cossim} + \beta` (Eq. 4)."""
    return alpha * similarity + beta


def edge_probability(rate: Tensor) -> Tensor:
    r"""Probability of at least one event, :math:`P = 1 - e^{-\lambda}` (Eq. 3).

    A Poisson rate cannot be negative: :math:`\lambda < 0` counts as 0, which never joins the pair.
    There, and at 0, it has no gradient.
    """
    # Not clamp(min=0): what its gradient is at 0 is documented nowhere, and relu's is 0.
    return -torch.expm1(-rate.relu())


def sample_edges(
    probability: Tensor,
    num_samples: int = 1,
    generator: torch.Generator | None = None,
    rows: slice | None = None,
) -> Tensor:
    r"""Independent draws :math:`a_{ij} \sim P_{ij}` over all ordered pairs (Eq. 5).

    Probability 0 and NaN never give an edge, probability 1 always does.

    Args:
        probability (Tensor): Of n targets with :math:`|\mathcal{V}|` sources.
        num_samples (int): :math:`S`. (default: :obj:`1`)
        generator (torch.Generator, optional): Source of the draws.
        rows (slice, optional): The targets are these of all nodes, one of the equal shares that
            they are divided into; the draws are then those rows of a draw of the whole matrix.

    Shapes:
        - **input:** :math:`(n, |\mathcal{V}|)`
        - **output:** :math:`(S, n, |\mathcal{V}|)` of zeros and ones
    """

    def noise(*size: int) -> Tensor:
        return torch.rand(
            size, generator=generator, device=probability.device, dtype=probability.dtype
        )

    share, num_nodes = probability.shape
    if rows is None:
        drawn = noise(num_samples, share, num_nodes) < probability
    else:
        drawn = probability.new_empty(num_samples, share, num_nodes, dtype=torch.bool)
        for sample in drawn:
            # The other rows are drawn and dropped, a share at a time: never N^2 numbers at once.
            for start in range(0, num_nodes, share):
                others = noise(share, num_nodes)
                if start == rows.start:
                    torch.lt(others, probability, out=sample)
    return drawn.to(probability.dtype)


@functional_transform("poisson_edges")
class PoissonEdges(SimilarityEdges):
    r"""Joins the nodes of a graph at random, the likelier the more similar their features
    (functional name: :obj:`poisson_edges`).

    Every ordered pair :math:`(i, j)` of one graph, :math:`i = j` among them, is joined by an edge
    :math:`j \to i` with the probability that a Poisson variable is not zero (Eq. 2-5):

    .. math::
        \lambda_{ij} = \alpha \, \mathrm{cossim}(x_i, x_j) + \beta, \qquad
        P_{ij} = 1 - e^{-\max(\lambda_{ij}, 0)}, \qquad a_{ij} \sim P_{ij}

    :math:`\alpha` and :math:`\beta` are parameters. The draw has no gradient of its own; Eq. 14
    puts :math:`\partial \ell / \partial a_{ij}` in the place of
    :math:`\partial \ell / \partial \lambda_{ij}` for every pair, and Eq. 11 averages over the
    :math:`N^2` pairs. What that estimator is off by is in ``docs/gradients.md``.

    An edge list cannot carry the gradient of a pair that is not in it. :meth:`adjacency` keeps
    them all, and so does ``pairs="all"``; ``pairs="sampled"`` gives the graph itself, with the
    gradient of the sampled edges only.

    Memory is :math:`O(S N^2)`: the draw is over all pairs.

    What it answers where the paper is silent: :math:`\lambda < 0` counts as probability 0, though
    Eq. 14's identity still passes its gradient on, so that such a pair can come back. A zero
    vector has cosine 0 to everything, itself included. One node alone gets at most the edge to
    itself. ``float16`` and ``bfloat16`` features are compared in ``float32``, and ``edge_weight``
    is rounded to the features' type at the end.

    Draws follow :func:`torch.manual_seed`, or ``generator``. Gradient checkpointing draws the same
    edges again from PyTorch's generators only, as it keeps no other's state: with ``generator`` it
    is refused. So are draws in a worker of a :class:`~torch.utils.data.DataLoader` from a
    ``generator`` that all workers have a copy of. No gradient leaves a worker: ``edge_weight`` has
    none there, and :math:`\alpha` and :math:`\beta` are not learned.

    Attributes of the graph's old edges are dropped: those whose name has ``edge`` in it, ``adj``,
    ``adj_t``, and those of as many items as there were edges, unless there are as many nodes or
    graphs. A :class:`~torch_geometric.data.Batch` remains one and divides into its graphs.

    Args:
        alpha (float): Initial :math:`\alpha`. (default: :obj:`1.0`)
        beta (float): Initial :math:`\beta`. (default: :obj:`0.0`)
        num_samples (int): Draws :math:`S` of the same nodes. With more than one, the result is one
            block-diagonal graph of :math:`S \cdot |\mathcal{V}|` nodes: node attributes are
            repeated, ``batch`` tells the draws apart; a batch of :math:`B` graphs becomes one of
            :math:`S \cdot B`. (default: :obj:`1`)
        mode (str): ``"sample"``, or ``"expectation"``: no draw, :math:`P` itself is the weight,
            with its true gradient. (default: :obj:`"sample"`)
        estimator (str): What takes the gradient of a draw. ``"identity"``: :math:`\lambda` (the
            paper's). ``"probability"``: :math:`P`, which adds the factor :math:`e^{-\lambda}`, and
            none where :math:`\lambda < 0`. (default: :obj:`"identity"`)
        average (bool): Divide the gradient of :math:`\alpha` and :math:`\beta` by the number of
            ordered pairs, as Eq. 11 does; the gradient to the features is never divided.
            (default: :obj:`True`)
        feature_gradient (bool): Let the graph's gradient reach the features too. Eq. 9-11 hold
            :math:`A` constant for them. (default: :obj:`False`)
        pairs (str): ``"sampled"`` or ``"all"``, see above. (default: :obj:`"sampled"`)
        generator (torch.Generator, optional): Source of the draws, on the features' device.
        tile_size (int, optional): Rows of pairs at once where edges are drawn in tiles
            (:meth:`draw_in_tiles`, and ``AGFN(propagation="tiles")``).

    Shapes:
        - **input:** ``data.x`` :math:`(|\mathcal{V}|, F)`, ``data.batch``
          :math:`(|\mathcal{V}|)` *(optional)*
        - **output:** ``data.edge_index`` :math:`(2, |\mathcal{E}|)`, ``data.edge_weight``
          :math:`(|\mathcal{E}|)`

    Raises:
        ValueError: An unknown option, ``num_samples`` below 1, :math:`\alpha` or :math:`\beta`
            no finite number, no matrix of floats in ``data.x``, or a ``batch`` or ``ptr`` that
            does not fit it.
        RuntimeError: A draw from ``generator`` for a gradient checkpoint, or from a copy of it in
            a worker.
    """

    def __init__(
        self,
        alpha: float = 1.0,
        beta: float = 0.0,
        num_samples: int = 1,
        mode: Mode = "sample",
        estimator: Estimator = "identity",
        average: bool = True,
        feature_gradient: bool = False,
        pairs: Pairs = "sampled",
        generator: torch.Generator | None = None,
        tile_size: int | None = None,
    ) -> None:
        super().__init__(pairs, tile_size)
        check_count("num_samples", num_samples)
        check_choice("mode", mode, MODES)
        check_choice("estimator", estimator, get_args(Estimator))
        check_number("alpha", alpha)
        check_number("beta", beta)
        self.initial = (float(alpha), float(beta))
        self.alpha = nn.Parameter(torch.empty(()))
        self.beta = nn.Parameter(torch.empty(()))
        self.num_samples = num_samples
        self.mode: Mode = mode
        self.estimator: Estimator = estimator
        self.average = average
        self.feature_gradient = feature_gradient
        self.generator = generator
        self.reset_parameters()

    def reset_parameters(self) -> None:
        r"""Puts :math:`\alpha` and :math:`\beta` back to where they started."""
        with torch.no_grad():
            self.alpha.fill_(self.initial[0])
            self.beta.fill_(self.initial[1])

    def expected_weight(self, similarity: Tensor) -> Tensor:
        return edge_probability(poisson_rate(similarity, self.alpha, self.beta))

    def draw(self, similarity: Tensor) -> Tensor:
        return sample_edges(self.expected_weight(similarity), self.num_samples, self._source()) > 0

    @property
    def generator(self) -> torch.Generator | None:
        """Source of the draws; None for PyTorch's own."""
        return self._generator

    @generator.setter
    def generator(self, generator: torch.Generator | None) -> None:
        if generator is not None and not isinstance(generator, torch.Generator):
            raise ValueError(f"generator must be a torch.Generator, got {generator!r}")
        self._generator = generator
        self._made_in = _worker_seed()

    def _source(self) -> torch.Generator | None:
        """The generator, where another draw from it is what the caller expects."""
        if self.generator is None:
            return None
        # PyTorch's checkpoint tells by the same number that it computes something again.
        if torch._C._current_graph_task_id() != -1:
            raise RuntimeError(
                "PoissonEdges cannot draw the same edges again for a gradient checkpoint, which "
                "restores the state of PyTorch's generators only: leave generator out"
            )
        if self._made_in != _worker_seed():
            raise RuntimeError(
                "PoissonEdges has a copy of the same generator in each worker of a DataLoader, "
                "which would draw the same edges: leave generator out, draws then follow the "
                "workers' own seeds, or set it in worker_init_fn"
            )
        return self.generator

    def parameters_by_pair(self, num_pairs: Tensor) -> tuple[Tensor, Tensor]:
        r""":math:`\alpha` and :math:`\beta`, whose gradient is Eq. 11's mean over the pairs."""
        # float16 holds neither 256^2 pairs nor the sum over them.
        dtype = torch.promote_types(self.alpha.dtype, torch.float32)
        alpha, beta = self.alpha.to(dtype), self.beta.to(dtype)
        if not self.average:
            return alpha, beta
        share = num_pairs.to(dtype).clamp(min=1).reciprocal()
        return scale_gradient(alpha, share), scale_gradient(beta, share)

    def adjacency(
        self,
        x: Tensor,
        batch: Tensor | None = None,
        mode: Mode | None = None,
        rows: slice | None = None,
    ) -> Tensor:
        check_nodes(x, batch)
        mode = self.mode if mode is None else mode
        check_choice("mode", mode, MODES)
        if not self.feature_gradient:
            x = x.detach()
        joinable = None if batch is None else same_graph(batch)
        # Filled on the device: what is copied to a GPU would make the CPU wait for it.
        num_pairs = (
            torch.full((), x.size(0) ** 2, device=x.device) if joinable is None else joinable.sum()
        )
        alpha, beta = self.parameters_by_pair(num_pairs)
        similarity = cosine_similarity(x) if rows is None else cosine_similarity(x[rows], x)
        rate = poisson_rate(similarity, alpha, beta)
        probability = edge_probability(rate)
        if mode == "expectation":
            adj = probability.unsqueeze(0)
        else:
            sample = sample_edges(probability.detach(), self.num_samples, self._source(), rows)
            adj = straight_through(sample, rate if self.estimator == "identity" else probability)
        if joinable is None:
            return adj
        return torch.where(joinable if rows is None else joinable[rows], adj, 0.0)

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(alpha={self.alpha.item():.4g}, beta={self.beta.item():.4g}, "
            f"num_samples={self.num_samples}, mode={self.mode!r})"
        )


def _worker_seed() -> int | None:
    """The seed of this worker of a DataLoader, which no other has; None outside of workers."""
    worker = get_worker_info()
    return None if worker is None else worker.seed
