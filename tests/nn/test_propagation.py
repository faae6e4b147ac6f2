"""The mini-batch as a PyG graph, as a dense matrix and in tiles: one method, whatever the way."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch_geometric.data import Data
from torch_geometric.loader import DataLoader
from torch_geometric.nn import GCNConv
from torch_geometric.transforms import Compose

from pyg_agfn.nn import AGFN, AGFNClassifier
from pyg_agfn.transforms import PoissonEdges, SimilarityEdges, ThresholdEdges

EDGES = {
    "one draw": PoissonEdges(2.0, 0.1, pairs="all"),
    "three draws": PoissonEdges(2.0, 0.1, num_samples=3, pairs="all"),
    "probability": PoissonEdges(2.0, 0.1, estimator="probability", pairs="all"),
    "sum over the pairs": PoissonEdges(2.0, 0.1, average=False, pairs="all"),
    "threshold": ThresholdEdges(0.3),
}


def classifier(propagation: str, edges: SimilarityEdges) -> AGFNClassifier:
    torch.manual_seed(0)
    edges = copy.deepcopy(edges)
    return AGFNClassifier(
        "small-cnn", 3, 1, hidden_channels=8, edges=edges, propagation=propagation
    ).double()


def layer(propagation: str = "dense", **options) -> AGFN:
    torch.manual_seed(0)
    edges = PoissonEdges(2.0, 0.3, **options)
    return AGFN(10, 6, hidden_channels=8, edges=edges, propagation=propagation).double()


def assert_equal(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, atol=1e-11, rtol=1e-9, msg=name)


def train(propagation: str, edges: SimilarityEdges) -> list[dict[str, Tensor]]:
    """The parameters and running statistics after each of five steps, from one seed."""
    model = classifier(propagation, edges)
    graph = list(model.agfn.edges.parameters())
    weights = [p for name, p in model.named_parameters() if ".edges." not in name]
    groups = [{"params": weights}, {"params": graph, "lr": 20.0}] if graph else weights
    optimizer = torch.optim.SGD(groups, lr=0.05, momentum=0.9, weight_decay=1e-4)
    generator = torch.Generator().manual_seed(1)
    found = []
    torch.manual_seed(2)  # of the draws
    for _ in range(5):
        images = torch.randn(14, 1, 8, 8, dtype=torch.float64, generator=generator)
        labels = torch.randint(3, (14,), generator=generator)
        logits = model(images)
        loss = F.cross_entropy(logits, labels.repeat(len(logits) // len(labels)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        found.append({name: value.clone() for name, value in model.state_dict().items()})
    return found


@pytest.mark.parametrize("kind", EDGES)
@pytest.mark.parametrize("propagation", ["edges", "tiles"])
def test_training_is_the_same_by_every_way_of_propagation(propagation, kind):
    expected = train("dense", EDGES[kind])
    for found, dense in zip(train(propagation, EDGES[kind]), expected, strict=True):
        assert_equal(found, dense)
    if kind != "threshold":
        assert abs(expected[4]["agfn.edges.beta"] - 0.1) > 1e-3  # it has learned


@pytest.mark.parametrize("mode", ["expectation", "sample"])
@pytest.mark.parametrize("propagation", ["edges", "tiles"])
def test_evaluation_is_the_same_by_every_way_of_propagation(propagation, mode):
    x, batch = torch.randn(9, 10).double(), torch.tensor([0] * 5 + [1] * 4)
    answers = []
    for way in ("dense", propagation):
        agfn = layer(way, num_samples=2).eval()
        agfn.eval_mode = mode
        torch.manual_seed(3)
        answers.append(torch.cat([agfn(x), agfn(x, batch)]))
    torch.testing.assert_close(*answers, atol=1e-12, rtol=0)


def test_drawn_edges_alone_change_the_gradient_of_the_graph_and_no_other():
    x, found = torch.randn(9, 10).double(), {}
    for propagation in ("dense", "edges"):
        agfn = layer(propagation, pairs="sampled")
        torch.manual_seed(3)
        out = agfn(x)
        out.square().sum().backward()
        grads = {name: p.grad for name, p in agfn.named_parameters()}
        found[propagation] = {"out": out.detach(), **grads}
    for name in ("edges.alpha", "edges.beta"):
        every, drawn = (found[way].pop(name) for way in ("dense", "edges"))
        assert abs(every - drawn) > 0.01 * abs(every), name
    assert_equal(found["edges"], found["dense"])


def test_at_every_step_convolution_takes_the_edges_that_were_drawn(monkeypatch):
    taken = []
    own = GCNConv.forward

    def forward(self, x: Tensor, edge_index: Tensor, edge_weight: Tensor) -> Tensor:
        taken.append((edge_index, edge_weight))
        return own(self, x, edge_index, edge_weight)

    monkeypatch.setattr(GCNConv, "forward", forward)
    agfn, x = layer("edges"), torch.randn(9, 10).double()
    for _ in range(2):
        agfn(x)
    agfn.eval()(x)
    loops = torch.arange(9).expand(2, -1)  # the I of Eq. 6
    assert all(torch.equal(edge_index[:, -9:], loops) for edge_index, _ in taken)
    drawn = [edge_index[:, :-9].tolist() for edge_index, _ in taken]
    assert 0 < len(drawn[0][0]) < 81
    assert drawn[0] != drawn[1]
    assert taken[1][1].unique().tolist() == [1.0]
    assert len(taken[2][1].unique()) > 9  # expected edges weigh their probability


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("propagation", ["dense", "edges"])
def test_the_graph_of_a_mini_batch_gives_the_layers_answer(propagation, training):
    agfn = layer(propagation, num_samples=2).train(training)
    x, batch = torch.randn(7, 10).double(), torch.tensor([0, 0, 0, 1, 1, 1, 1])
    torch.manual_seed(3)
    data = agfn.graph(x, batch)
    torch.manual_seed(3)
    expected = agfn(x, batch)
    found = agfn.normalizer(data.x, data.edge_index, data.edge_weight)
    torch.testing.assert_close(found, expected, atol=1e-12, rtol=0)
    assert data.validate()
    assert torch.equal(*data.batch[data.edge_index])  # no edge leaves a graph


@torch.no_grad()
def test_a_pipeline_of_pyg_is_the_layer():
    """Graphs by a transform, collated by a loader: for each, the answer to its samples alone."""
    agfn = layer("edges").eval()
    transform = Compose([PoissonEdges(2.0, 0.3, mode="expectation")])
    graphs = [torch.randn(n, 10).double() for n in (3, 1, 5)]
    dataset = [transform(Data(x=agfn.projector(x))) for x in graphs]
    (batch,) = DataLoader(dataset, batch_size=3)
    found = agfn.normalizer(batch.x, batch.edge_index, batch.edge_weight)
    expected = torch.cat([agfn(x) for x in graphs])
    torch.testing.assert_close(found, expected, atol=1e-12, rtol=0)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("propagation", ["dense", "edges", "tiles"])
def test_without_the_graph_each_sample_is_alone(propagation, training):
    model = classifier(propagation, EDGES["three draws"]).train(training)
    images = torch.randn(6, 1, 8, 8).double()
    z = model.agfn.projector(model.features(images))
    expected = model.classifier(model.agfn.normalizer.conv.lin(z))
    for found in (
        model(images, use_graph=False),
        model.head(model.features(images), use_graph=False),
        model.classifier(model.agfn(model.features(images), use_graph=False)),
        model.classifier(model.agfn.propagate(z, use_graph=False)),
    ):
        torch.testing.assert_close(found, expected, atol=1e-12, rtol=0)
    with_graph = model(images)
    assert len(with_graph) == (18 if training else 6)
    assert (with_graph[:6] - expected).abs().max() > 1e-4
