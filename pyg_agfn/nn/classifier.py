"""A feature extractor and a linear classifier, with AGFN between them or without (Figure 2)."""

from torch import Tensor, nn

from pyg_agfn.nn.agfn import AGFN, Propagation
from pyg_agfn.nn.backbones import build_backbone
from pyg_agfn.transforms import SimilarityEdges


class BaselineClassifier(nn.Module):
    r"""Feature extractor and linear classifier: the paper's *Baseline*.

    Args:
        backbone (str or torch.nn.Module): A name of :data:`pyg_agfn.nn.BACKBONES`, or any module
            that yields :math:`(N, F)`.
        num_classes (int): Number of classes.
        in_channels (int): Channels of the images, for a backbone given by name.
            (default: :obj:`3`)
        num_features (int, optional): F, for a module without attribute ``num_features``.

    Shapes:
        - **input:** images :math:`(N, C, H, W)`
        - **output:** logits :math:`(N, K)`

    Raises:
        ValueError: Unknown backbone name, or F of a module cannot be told.
    """

    def __init__(
        self,
        backbone: str | nn.Module,
        num_classes: int,
        in_channels: int = 3,
        num_features: int | None = None,
    ) -> None:
        super().__init__()
        if isinstance(backbone, str):
            backbone = build_backbone(backbone, in_channels)
        num_features = num_features or getattr(backbone, "num_features", None)
        if not isinstance(num_features, int):
            raise ValueError(
                f"{type(backbone).__name__} has no attribute num_features: pass num_features=F, "
                "the size of the feature vectors it yields"
            )
        self.backbone = backbone
        self.num_features = num_features
        self.classifier = nn.Linear(num_features, num_classes)

    def features(self, images: Tensor) -> Tensor:
        r"""What the backbone sees in each image by itself, :math:`(N, F)`."""
        x: Tensor = self.backbone(images)
        return x

    def head(self, x: Tensor) -> Tensor:
        r"""Logits from features, :math:`(N, F)` to :math:`(N, K)`."""
        logits: Tensor = self.classifier(x)
        return logits

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.features(images))


class AGFNClassifier(BaselineClassifier):
    r"""Feature extractor, :class:`~pyg_agfn.nn.AGFN` and linear classifier.

    Args:
        backbone (str or torch.nn.Module): A name of :data:`pyg_agfn.nn.BACKBONES`, or any module
            that yields :math:`(N, F)`.
        num_classes (int): Number of classes.
        in_channels (int): Channels of the images, for a backbone given by name.
            (default: :obj:`3`)
        num_features (int, optional): F, for a module without attribute ``num_features``.
        hidden_channels (int): Size of the projected and of the normalized feature vectors.
            (default: :obj:`512`, Section 4.1)
        edges (SimilarityEdges, optional): Graph generator. (default: ``PoissonEdges()``)
        propagation (str): See :class:`~pyg_agfn.nn.AGFN`. (default: :obj:`"dense"`)
        gather_distributed (bool): See :class:`~pyg_agfn.nn.AGFN`. (default: :obj:`False`)

    Shapes:
        - **input:** images :math:`(N, C, H, W)`; ``use_graph=False`` treats each image as if it
          were alone
        - **output:** logits :math:`(N, K)`; while training with :math:`S` draws
          :math:`(S \cdot N, K)`, draw after draw: compare with ``y.repeat(S)``

    Raises:
        ValueError: Unknown backbone name, or F of a module cannot be told.
    """

    def __init__(
        self,
        backbone: str | nn.Module,
        num_classes: int,
        in_channels: int = 3,
        num_features: int | None = None,
        hidden_channels: int = 512,
        edges: SimilarityEdges | None = None,
        propagation: Propagation = "dense",
        gather_distributed: bool = False,
    ) -> None:
        super().__init__(backbone, num_classes, in_channels, num_features)
        self.agfn = AGFN(
            self.num_features,
            hidden_channels,
            hidden_channels,
            edges,
            propagation=propagation,
            gather_distributed=gather_distributed,
        )
        self.classifier = nn.Linear(hidden_channels, num_classes)

    def head(self, x: Tensor, use_graph: bool = True) -> Tensor:
        r"""Logits from the features of a batch, :math:`(N, F)` to :math:`(N, K)`.

        Args:
            x (Tensor): Features.
            use_graph (bool): Whether the samples see each other. (default: :obj:`True`)
        """
        logits: Tensor = self.classifier(self.agfn(x, use_graph=use_graph))
        return logits

    def forward(self, images: Tensor, use_graph: bool = True) -> Tensor:
        return self.head(self.features(images), use_graph)
