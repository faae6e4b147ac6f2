"""The same training by each way of propagation: as a matrix, as PyG graphs, and in tiles."""

import pytest
import torch
from torch import nn
from torch_geometric.data import Data
from torch_geometric.nn import GCNConv

from pyg_agfn import Trainer
from pyg_agfn.datasets import Digits, ImageDataset
from pyg_agfn.evaluation import extract_features
from pyg_agfn.nn.backbones import build_backbone
from pyg_agfn.training import TrainingResult
from pyg_agfn.transforms import PoissonEdges

EPOCHS, STEPS, BATCH = 3, 4, 30
WAYS = ("dense", "edges", "tiles")


@pytest.fixture(scope="module")
def digits() -> tuple[ImageDataset, ImageDataset]:
    """120 images with wrong labels to train on, and 60 to measure on."""
    every = Digits()
    train = every.subset(torch.arange(STEPS * BATCH)).with_noise(0.2, seed=0)
    return train, every.subset(torch.arange(200, 260))


def train(digits: tuple[ImageDataset, ImageDataset], **given) -> TrainingResult:
    small = {"backbone": "small-cnn", "epochs": EPOCHS, "pretrain_epochs": 0, "batch_size": BATCH}
    small |= {"feature_dim": 16, "lr": 0.05, "lr_graph": 30.0, "alpha": 1.0, "beta": 0.1}
    small |= {"bank_size": 40, "eval_draws": 2, "device": "cpu", "quiet": True, "augment": False}
    return Trainer(method="agfn", **{**small, **given}).fit(*digits)


class Graphs:
    """The graphs that PoissonEdges gives, and those that GCNConv takes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.given: list[tuple[bool, Data]] = []
        self.taken: list[torch.Tensor] = []
        draw, convolve = PoissonEdges.forward, GCNConv.forward

        def drawing(edges: PoissonEdges, data: Data, mode: str | None = None) -> Data:
            self.given.append((edges.training, draw(edges, data, mode)))
            return self.given[-1][1]

        def convolving(conv: GCNConv, x, edge_index, edge_weight=None) -> torch.Tensor:
            self.taken.append(edge_index)
            return convolve(conv, x, edge_index, edge_weight)

        monkeypatch.setattr(PoissonEdges, "forward", drawing)
        monkeypatch.setattr(GCNConv, "forward", convolving)

    def of(self, training: bool) -> list[Data]:
        return [data for trained, data in self.given if trained == training]


class DoubleBackbone(nn.Module):
    """The small CNN in float64."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = build_backbone("small-cnn", 1)
        self.num_features = self.layers.num_features

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.layers(images.double())


@pytest.fixture
def double(monkeypatch):
    """Weights are float64. In float32 it is decided by rounding, now and then, whether a pair is
    joined, and from there on the weights are others.
    """

    def features(*arguments) -> torch.Tensor:
        return extract_features(*arguments).double()

    for module in ("validation", "measure"):
        monkeypatch.setattr(f"pyg_agfn.training.{module}.extract_features", features)
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("samples", [1, 2])
def test_each_way_trains_the_same_model(digits, double, samples):
    dense, *others = (
        train(digits, backbone=DoubleBackbone(), propagation=way, samples=samples) for way in WAYS
    )
    assert abs(dense.model.agfn.edges.alpha.item() - 1) > 0.01  # it has learned
    for other in others:
        for name, value in other.model.state_dict().items():
            expected = dense.model.state_dict()[name]
            assert value.dtype in (torch.float64, torch.long)
            torch.testing.assert_close(value, expected, rtol=1e-8, atol=1e-10)
        # Features are measured in float32.
        logits, expected = other.answers.logits, dense.answers.logits
        torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-5)
        losses, expected = ([epoch["loss"] for epoch in r.history] for r in (other, dense))
        assert losses == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("descent", "draws"), [("alternate", 2), ("joint", 1)])
def test_by_edges_each_mini_batch_is_a_graph_that_gcn_conv_processes(
    digits, monkeypatch, descent, draws
):
    graphs = Graphs(monkeypatch)
    train(digits, propagation="edges", graph_gradient="sampled", descent=descent)
    trained, measured = graphs.of(training=True), graphs.of(training=False)
    # W, and alpha and beta, each have a draw of their own with "alternate".
    assert len(trained) == draws * EPOCHS * STEPS
    assert len({data.num_edges for data in trained}) > 1  # they are drawn
    # Two batches: shuffled after each epoch, twice at the end, and in the order of the classes.
    # The training images are shuffled once.
    assert len(measured) >= 2 * (EPOCHS + 2 + 1) + STEPS
    for data in trained + measured:
        assert type(data) is Data
        assert data.x.shape == (BATCH, 16)
        assert data.edge_index.shape == (2, data.num_edges)
        assert data.edge_weight.shape == (data.num_edges,)
        assert 0 < data.num_edges <= BATCH**2
    assert {float(w) for data in trained for w in data.edge_weight.detach().unique()} == {1.0}
    assert any((data.edge_weight < 1).any() for data in measured)  # the expectation
    identity = torch.arange(BATCH).expand(2, BATCH)  # the I of A + I
    given = [torch.cat([data.edge_index, identity], dim=1) for _, data in graphs.given]
    assert len(graphs.taken) == len(given)
    assert all(map(torch.equal, graphs.taken, given))


def test_before_the_graph_no_mini_batch_is_one(digits, monkeypatch):
    graphs = Graphs(monkeypatch)
    train(digits, propagation="edges", pretrain_epochs=2)
    assert len(graphs.of(training=True)) == 2 * STEPS  # of the last epoch


@pytest.mark.parametrize("way", ["dense", "tiles"])
def test_by_another_way_none_is(digits, monkeypatch, way):
    graphs = Graphs(monkeypatch)
    train(digits, propagation=way, epochs=1)
    assert graphs.given == graphs.taken == []


def test_the_gradient_of_all_pairs_is_that_of_the_matrix_and_that_of_the_drawn_ones_is_not(digits):
    one_step = {"epochs": 1, "batch_size": STEPS * BATCH, "lr_graph": 1000.0}
    initial = {"agfn.edges.alpha": 1.0, "agfn.edges.beta": 0.1}
    dense = train(digits, propagation="dense", **one_step).model
    for pairs in ("all", "sampled"):
        model = train(digits, propagation="edges", graph_gradient=pairs, **one_step).model
        for name, value in model.named_parameters():
            expected = dense.get_parameter(name)
            if pairs == "sampled" and name in initial:
                step = abs(float(expected.detach()) - initial[name])
                assert abs(float((value - expected).detach())) > 0.1 * step > 0
            else:
                torch.testing.assert_close(value, expected, rtol=1e-5, atol=1e-6, msg=name)
