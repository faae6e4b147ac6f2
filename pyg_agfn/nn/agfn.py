"""AGFN as one layer, to put between any feature extractor and its classifier (Figure 2).

Source: Du, Wang, Xiong, *Adaptive Graph-Based Feature Normalization for Facial Expression
Recognition*.
"""

from typing import Literal, get_args

from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.nn import MLP

from pyg_agfn.distributed import gather_rows, own_rows, world_size
from pyg_agfn.nn.graph_normalizer import GraphNormalizer
from pyg_agfn.transforms import PoissonEdges, SimilarityEdges
from pyg_agfn.transforms.checks import check_choice, check_count, check_nodes
from pyg_agfn.transforms.similarity_edges import MODES, Mode

Propagation = Literal["dense", "edges", "tiles"]


class AGFN(nn.Module):
    r"""Adaptive Graph-based Feature Normalization of a mini-batch.

    Projects each sample's features (MLP), joins the samples of the mini-batch by a Poisson graph
    (:class:`~pyg_agfn.transforms.PoissonEdges`, Eq. 2-5) and passes the projected features over
    it (:class:`~pyg_agfn.nn.GraphNormalizer`, Eq. 6).

    In training the graph is drawn, in evaluation its expectation is used, so that the same batch
    gives the same answer. **The answer for a sample depends on the batch it came in.** A sample
    alone is its own graph, for which Eq. 6 is :math:`\hat{x} = x W` whatever the draw.

    Args:
        in_channels (int): Size of each input feature vector.
        out_channels (int): Size of each output feature vector. (default: :obj:`512`)
        hidden_channels (int): Size of the projected vectors, whose cosines decide on the edges.
            (default: :obj:`512`, Section 4.1)
        edges (SimilarityEdges, optional): Graph generator. (default: ``PoissonEdges()``)
        eval_mode (str): ``"expectation"`` or ``"sample"``, the graph used in evaluation.
            (default: :obj:`"expectation"`)
        propagation (str): How features pass over the graph. From one seed all ways draw the same
            graph of a mini-batch and give the same values. (default: :obj:`"dense"`)

            ``"dense"`` multiplies with the adjacency matrix, in training and in evaluation: fast,
            with the gradient of every pair.

            ``"edges"`` makes each mini-batch a :class:`~torch_geometric.data.Data`, whose
            ``edge_index`` and ``edge_weight`` the graph generator draws and
            :class:`~torch_geometric.nn.GCNConv` processes. :math:`\alpha, \beta` get the gradient
            of the pairs that ``edge_index`` lists: with ``PoissonEdges(pairs="all")`` it is that
            of ``"dense"``, with ``pairs="sampled"`` that of the drawn edges alone.

            ``"tiles"`` is for thousands of nodes: the gradient of every pair, in memory of the
            drawn edges.
        gather_distributed (bool): In training, join the samples of all processes
            (:mod:`pyg_agfn.distributed`) in one graph. Without it, each process has a graph of its
            own samples. (default: :obj:`False`)

    Shapes:
        - **input:** :math:`(N, F_{in})`, batch :math:`(N)` *(optional)*; ``use_graph=False``
          treats each sample as if it were alone
        - **output:** :math:`(N, F_{out})`; while training with :math:`S` draws
          :math:`(S \cdot N, F_{out})`, draw after draw: compare with ``y.repeat(S)``

    Raises:
        ValueError: An unknown option; ``x`` is no dense matrix of floats, or ``batch`` does not
            fit it; in training, a batch of no sample, or of one (the
            projector's batch normalization has nothing to compare it with); a graph that several
            processes share by another propagation than ``"dense"``, or with a ``batch``.

    Example:
        >>> agfn = AGFN(128, 64, edges=PoissonEdges(alpha=8.0, beta=-4.0))
        >>> logits = classifier(agfn(backbone(images)))
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int = 512,
        hidden_channels: int = 512,
        edges: SimilarityEdges | None = None,
        eval_mode: Mode = "expectation",
        propagation: Propagation = "dense",
        gather_distributed: bool = False,
    ) -> None:
        super().__init__()
        for name, size in (("in", in_channels), ("out", out_channels), ("hidden", hidden_channels)):
            check_count(f"{name}_channels", size)
        check_choice("eval_mode", eval_mode, MODES)
        check_choice("propagation", propagation, get_args(Propagation))
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.hidden_channels = hidden_channels
        self.projector = MLP([in_channels, hidden_channels, hidden_channels])
        self.edges = PoissonEdges() if edges is None else edges
        self.normalizer = GraphNormalizer(hidden_channels, out_channels)
        self.eval_mode: Mode = eval_mode
        self.propagation: Propagation = propagation
        self.gather_distributed = gather_distributed

    def reset_parameters(self) -> None:
        r"""Draws new weights and puts :math:`\alpha, \beta` back to where they started."""
        self.projector.reset_parameters()
        self.normalizer.reset_parameters()
        if isinstance(self.edges, PoissonEdges):
            self.edges.reset_parameters()

    def forward(self, x: Tensor, batch: Tensor | None = None, use_graph: bool = True) -> Tensor:
        check_nodes(x, batch)
        if self.training and len(x) == 0:
            # Batch normalization would fill its running statistics with NaN.
            raise ValueError("x has no sample: training needs a batch of at least 2")
        return self.propagate(self.projector(x), batch, use_graph)

    def propagate(self, x: Tensor, batch: Tensor | None = None, use_graph: bool = True) -> Tensor:
        r"""What follows on the projection: graph and normalization.

        Args:
            x (Tensor): Projected features.
            batch (LongTensor, optional): The graph of each node.
            use_graph (bool): Whether samples see each other. Without the graph Eq. 6 is
                :math:`\hat{x} = x W`, one row a sample. (default: :obj:`True`)

        Shapes:
            - **input:** projected features :math:`(N, F)`, batch :math:`(N)` *(optional)*
            - **output:** as of the whole layer
        """
        if not use_graph:
            return self.normalizer.dense_forward(x, None)
        if self.training and self.gather_distributed and world_size() > 1:
            return self._propagate_own_rows(x, batch)
        if self.propagation == "edges":
            data = self.edges(Data(x=x, batch=batch), self._mode())
            out: Tensor = self.normalizer(data.x, data.edge_index, data.edge_weight)
            return out
        if self.propagation == "tiles":
            return self.normalizer.tiled_forward(x, self.edges, batch, self._mode())
        return self.normalizer.dense_forward(x, self.edges.adjacency(x, batch, self._mode()))

    def _propagate_own_rows(self, x: Tensor, batch: Tensor | None) -> Tensor:
        """The rows of this process, over a graph of all processes' samples."""
        if batch is not None or self.propagation != "dense":
            given = "a batch" if batch is not None else f'propagation="{self.propagation}"'
            raise ValueError(
                f"gather_distributed=True joins the samples of {world_size()} processes in one "
                f'graph, which needs propagation="dense" and no batch, got {given}; with '
                "gather_distributed=False each process has a graph of its own samples"
            )
        of_all = gather_rows(x if self._needs_feature_gradient() else x.detach())
        rows = own_rows(len(of_all))
        adj = self.edges.adjacency(of_all, mode=self._mode(), rows=rows)
        return self.normalizer.dense_forward(x, adj)

    def _mode(self) -> Mode | None:
        """What overrides the graph generator's own mode."""
        return None if self.training else self.eval_mode

    def _needs_feature_gradient(self) -> bool:
        return isinstance(self.edges, PoissonEdges) and self.edges.feature_gradient

    def graph(self, x: Tensor, batch: Tensor | None = None) -> Data:
        r"""The mini-batch as the PyG graph that its features are passed over.

        In training it is drawn, in evaluation it is the expected one (``eval_mode``). Any layer of
        PyG takes it; :attr:`normalizer` gives the answer of the whole layer:

        .. code-block:: python

            data = agfn.graph(x)
            out = agfn.normalizer(data.x, data.edge_index, data.edge_weight)

        Shapes:
            - **input:** :math:`(N, F_{in})`, batch :math:`(N)` *(optional)*
            - **output:** ``data.x`` :math:`(S \cdot N, F)`, the projected features, draw after
              draw; ``data.edge_index`` :math:`(2, |\mathcal{E}|)`, from source to target;
              ``data.edge_weight`` :math:`(|\mathcal{E}|)`
        """
        check_nodes(x, batch)
        data: Data = self.edges(Data(x=self.projector(x), batch=batch), self._mode())
        return data
