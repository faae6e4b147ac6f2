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
        propagation (str): ``"dense"`` multiplies with the adjacency matrix: fast, with the exact
            gradient of every pair. ``"edges"`` goes by way of a :class:`~torch_geometric.data.Data`
            and :class:`~torch_geometric.nn.GCNConv`: the same values, with the gradient of the
            pairs that ``edges`` lists. ``"tiles"`` is for thousands of nodes: the gradient of
            every pair, in memory of the drawn edges. (default: :obj:`"dense"`)

    Shapes:
        - **input:** :math:`(N, F_{in})`, batch :math:`(N)` *(optional)*
        - **output:** :math:`(N, F_{out})`; while training with :math:`S` draws
          :math:`(S \cdot N, F_{out})`, draw after draw: compare with ``y.repeat(S)``

    Raises:
        ValueError: An unknown option; ``x`` is no dense matrix of floats, or ``batch`` does not
            fit it; in training, a batch of no sample, or of one (the
            projector's batch normalization has nothing to compare it with).

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
        #: Whether samples see each other. Off, each is treated as if it were alone.
        self.use_graph = True
        #: Whether, in training, the samples of all processes see each other
        #: (:mod:`pyg_agfn.distributed`), or only those of each one.
        self.global_graph = True

    def reset_parameters(self) -> None:
        r"""Draws all weights anew and puts :math:`\alpha, \beta` back to where they started."""
        self.projector.reset_parameters()
        self.normalizer.reset_parameters()
        if isinstance(self.edges, PoissonEdges):
            self.edges.reset_parameters()

    def forward(self, x: Tensor, batch: Tensor | None = None) -> Tensor:
        check_nodes(x, batch)
        if self.training and len(x) == 0:
            # Batch normalization would fill its running statistics with NaN.
            raise ValueError("x has no sample: training needs a batch of at least 2")
        return self.propagate(self.projector(x), batch)

    def propagate(self, x: Tensor, batch: Tensor | None = None) -> Tensor:
        r"""What follows on the projection: graph and normalization.

        Shapes:
            - **input:** projected features :math:`(N, F)`, batch :math:`(N)` *(optional)*
            - **output:** as of the whole layer
        """
        if not self.use_graph:
            return self.normalizer.dense_forward(x, None)
        mode = None if self.training else self.eval_mode
        if self.training and self.global_graph and world_size() > 1:
            if batch is not None or self.propagation != "dense":
                raise ValueError(
                    'a graph over several processes needs propagation="dense", no batch'
                )
            everyone = gather_rows(x if self._needs_feature_gradient() else x.detach())
            rows = own_rows(len(everyone))
            return self.normalizer.dense_forward(
                x, self.edges.adjacency(everyone, mode=mode, rows=rows)
            )
        if self.propagation == "edges":
            data = self.edges(Data(x=x, batch=batch), mode)
            out: Tensor = self.normalizer(data.x, data.edge_index, data.edge_weight)
            return out
        if self.propagation == "tiles":
            return self.normalizer.tiled_forward(x, self.edges, batch, mode)
        return self.normalizer.dense_forward(x, self.edges.adjacency(x, batch, mode))

    def _needs_feature_gradient(self) -> bool:
        return isinstance(self.edges, PoissonEdges) and self.edges.feature_gradient

    def graph(self, x: Tensor, batch: Tensor | None = None) -> Data:
        """The mini-batch as a PyG graph of projected features, to look at or to pass on.

        Shapes:
            - **input:** :math:`(N, F_{in})`, batch :math:`(N)` *(optional)*
        """
        check_nodes(x, batch)
        data: Data = self.edges(Data(x=self.projector(x), batch=batch))
        return data
