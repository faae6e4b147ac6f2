"""New edges on graphs that had others: against each graph alone, and batches into their graphs."""

import copy

import numpy as np
import pytest
import torch
from torch import Tensor
from torch_geometric.data import Batch, Data, HeteroData
from torch_geometric.loader import DataLoader

from pyg_agfn.transforms import PoissonEdges, ThresholdEdges

EDGES = {
    "expectation": lambda **options: PoissonEdges(2.0, 0.3, mode="expectation", **options),
    "threshold": lambda **options: ThresholdEdges(0.1, **options),
}
OF_EDGES = {
    "edge_attr": torch.ones(5, 2),
    "edge_weight": torch.ones(5),
    "edge_type": torch.zeros(5, dtype=torch.long),
    "edge_time": torch.arange(5),
    "edge_label": torch.zeros(3),
    "edge_label_index": torch.zeros(2, 3, dtype=torch.long),
    "edge_names": list("abcde"),
    "kind": torch.arange(5),  # not by its name
    "adj_t": torch.eye(4).to_sparse_csr(),
}


def old_graph(n: int, seed: int = 0) -> Data:
    """A graph of n nodes with 5 edges, which the new ones are to replace."""
    generator = torch.Generator().manual_seed(seed)
    return Data(
        x=torch.randn(n, 4, generator=generator, dtype=torch.float64),
        edge_index=torch.randint(0, n, (2, 5), generator=generator),
        y=torch.tensor([seed]),
        mark=torch.arange(n) + 10 * seed,
        root_index=torch.tensor([n - 1]),
        **{key: value for key, value in OF_EDGES.items() if key != "adj_t"},
    )


def assert_same(one: Data, other: Data) -> None:
    assert set(one.keys()) == set(other.keys())
    for key, value in one:
        if isinstance(value, Tensor):
            torch.testing.assert_close(other[key], value, atol=1e-12, rtol=0, msg=key)
        else:
            assert other[key] == value, key


@pytest.mark.parametrize("pairs", ["sampled", "all"])
@pytest.mark.parametrize("make", EDGES.values(), ids=EDGES)
def test_a_batch_of_graphs_is_each_graph_alone(make, pairs):
    edges = make(pairs=pairs)
    graphs = [old_graph(n, seed) for seed, n in enumerate([4, 1, 6, 3])]
    alone = [edges(graph) for graph in graphs]
    batch = edges(Batch.from_data_list(graphs))
    assert isinstance(batch, Batch)
    assert batch.num_graphs == 4
    assert batch.validate()
    assert_same(batch, Batch.from_data_list(alone))
    for one, other in zip(alone, batch.to_data_list(), strict=True):
        assert_same(one, other)
    assert_same(batch[2], alone[2])
    for one, other in zip(alone[1:3], batch[1:3], strict=True):
        assert_same(one, other)
    again = Batch.from_data_list(batch.to_data_list())
    assert torch.equal(again.edge_index, batch.edge_index)
    assert set(alone[0].keys()) >= {"edge_index", "edge_weight", "x", "y", "mark", "root_index"}


@pytest.mark.parametrize("kind", [Data, Batch])
def test_what_belonged_to_the_old_edges_is_dropped(kind):
    graph = Data(x=torch.randn(4, 3), edge_index=torch.zeros(2, 5, dtype=torch.long), **OF_EDGES)
    if kind is Batch:
        del graph.adj_t  # PyG puts no CSR tensors into a batch
        graph = Batch.from_data_list([graph, graph], follow_batch=["kind", "x"])
        assert "kind_batch" in graph
    before = copy.copy(graph)
    out = ThresholdEdges(0.0)(graph)
    kept = {"batch", "ptr", "x_batch", "x_ptr"} if kind is Batch else set()
    assert set(out.keys()) == {"x", "edge_index", "edge_weight", *kept}
    assert set(graph.keys()) == set(before.keys())  # the caller's graph stays
    assert graph.edge_index is before.edge_index
    if kind is Batch:
        assert graph[1].edge_index.shape == (2, 5)
        assert out[1].edge_weight.shape == (out[1].num_edges,)


def test_what_may_be_of_nodes_or_of_the_graph_is_kept():
    # As many nodes as edges, and one edge in one graph.
    as_many = Data(
        x=torch.randn(3, 2), edge_index=torch.zeros(2, 3, dtype=torch.long), mark=torch.arange(3)
    )
    assert PoissonEdges()(as_many).mark.tolist() == [0, 1, 2]
    one = Data(x=torch.randn(3, 2), edge_index=torch.zeros(2, 1, dtype=torch.long), y=torch.ones(1))
    assert PoissonEdges()(one).y.tolist() == [1]
    graphs = [copy.copy(one) for _ in range(2)]
    assert PoissonEdges()(Batch.from_data_list(graphs)).y.tolist() == [1, 1]


@pytest.mark.parametrize("pairs", ["sampled", "all"])
def test_several_draws_of_a_batch_are_its_graphs_again_and_again(pairs):
    sizes = [4, 1, 6]
    graphs = Batch.from_data_list(
        [old_graph(n, seed) for seed, n in enumerate(sizes)], follow_batch=["x"]
    )
    graphs.score = torch.arange(11)  # added after batching
    edges = PoissonEdges(1.0, 0.5, num_samples=3, pairs=pairs)
    torch.manual_seed(0)
    drawn = edges.adjacency(graphs.x, graphs.batch).detach()
    torch.manual_seed(0)
    batch = edges(graphs)
    assert isinstance(batch, Batch)
    assert batch.num_graphs == 9
    assert batch.batch.bincount().tolist() == batch.ptr.diff().tolist() == sizes * 3
    assert torch.equal(batch.x_batch, batch.batch)
    assert batch.score.tolist() == [*range(11)] * 3
    for number, graph in enumerate(batch.to_data_list()):
        sample, which = divmod(number, 3)
        start, n = sum(sizes[:which]), sizes[which]
        expected = drawn[sample, start : start + n, start : start + n]
        adj = torch.zeros(n, n, dtype=torch.float64)
        source, target = graph.edge_index
        adj[target, source] = graph.edge_weight
        assert torch.equal(adj, expected)
        assert torch.equal(graph.x, graphs[which].x)
        assert graph.y.tolist() == [which]
        assert graph.root_index.tolist() == [n - 1]
        assert torch.equal(graph.mark, graphs[which].mark)


def test_several_draws_of_one_graph_count_nodes_on():
    data = Data(
        x=torch.randn(3, 2),
        num_nodes=3,
        near_index=torch.tensor([[0, 1, 2], [2, 2, 0]]),
        seen=torch.tensor([True, False, True]),
        names=["a", "b", "c"],
        place=np.arange(3),
        face=torch.tensor([[0], [1], [2]]),
    )
    out = PoissonEdges(num_samples=2)(data)
    assert out.num_nodes == 6
    assert out.near_index.tolist() == [[0, 1, 2, 3, 4, 5], [2, 2, 0, 5, 5, 3]]
    assert out.seen.tolist() == [True, False, True] * 2
    assert out.names == ["a", "b", "c"] * 2
    assert out.place.tolist() == [0, 1, 2] * 2
    assert out.face.tolist() == [[0, 3], [1, 4], [2, 5]]
    assert data.num_nodes == 3


@pytest.mark.parametrize("labels", [[0, 1, 0, 2, 1], [7, 3, 7, 9, 3], [-1, 0, -1, 5, 0]])
@pytest.mark.parametrize("num_samples", [1, 3])
def test_graphs_of_any_order_and_number(labels, num_samples):
    batch = torch.tensor(labels)
    x = torch.randn(5, 3)
    data = PoissonEdges(0.0, 50.0, num_samples=num_samples)(Data(x=x, batch=batch))
    source, target = data.edge_index
    of_nodes = data.batch.tolist()
    expected = {(i, j) for i, a in enumerate(of_nodes) for j, b in enumerate(of_nodes) if a == b}
    assert set(zip(source.tolist(), target.tolist(), strict=True)) == expected
    assert len(expected) == 9 * num_samples
    edges = PoissonEdges(0.0, 50.0, num_samples=num_samples, tile_size=2)
    drawn = edges.draw_in_tiles(edges.tiles(x, batch))
    assert [len(one[0]) for one in drawn] == [9] * num_samples


def test_a_batch_of_batches_is_divided_into_batches():
    inner = [Batch.from_data_list([old_graph(n, n) for n in sizes]) for sizes in ((4, 2), (3, 5))]
    edges = EDGES["expectation"]()
    outer = edges(Batch.from_data_list(inner))
    for one, other in zip(inner, outer.to_data_list(), strict=True):
        expected = edges(one)
        assert torch.equal(other.edge_index, expected.edge_index)
        torch.testing.assert_close(other.edge_weight, expected.edge_weight)


def test_a_batch_of_other_features_is_still_divided():
    graphs = Batch.from_data_list([old_graph(n, n) for n in (4, 2)])
    graphs.x = graphs.x[:, :2]
    assert ThresholdEdges(-2.0)(graphs)[1].edge_index.tolist() == [[0, 1, 0, 1], [0, 0, 1, 1]]


def stale(change) -> Data:
    batch = Batch.from_data_list([old_graph(n, n) for n in (4, 2)])
    change(batch)
    return batch


def drop_a_node(batch: Data) -> None:
    batch.x, batch.batch = batch.x[1:], batch.batch[1:]


REFUSED = {
    "no features": (lambda: Data(num_nodes=3), r"^data\.x must be a dense .*, got None$"),
    "whole numbers": (
        lambda: Data(x=torch.ones(3, 2, dtype=torch.long)),
        r"^data\.x .*, got torch\.int64 of shape \[3, 2\]$",
    ),
    "complex": (lambda: Data(x=torch.ones(3, 2) * 1j), r"^data\.x .*complex64 of shape"),
    "sparse": (lambda: Data(x=torch.eye(3).to_sparse()), r"^data\.x .*sparse_coo torch\.float32"),
    "meta": (lambda: Data(x=torch.ones(3, 2, device="meta")), "^x is on the meta device"),
    "kinds of nodes": (lambda: HeteroData(), "^PoissonEdges needs a torch_geometric Data, got H"),
    "no graph": (lambda: torch.ones(3, 2), "^PoissonEdges needs a torch_geometric Data, got Tens"),
    "float batch": (
        lambda: Data(x=torch.ones(2, 1), batch=torch.zeros(2)),
        r"^data\.batch must be a tensor of integers of shape \[2\]",
    ),
    "short batch": (
        lambda: Data(x=torch.ones(2, 1), batch=torch.zeros(1, dtype=torch.long)),
        r"^data\.batch must be a tensor of integers of shape \[2\] .*of shape \[1\]$",
    ),
    "batch elsewhere": (
        lambda: Data(x=torch.ones(1, 1), batch=torch.zeros(1, dtype=torch.long, device="meta")),
        r"^data\.batch must be .* on cpu, got .* on meta$",
    ),
    "stale ptr": (
        lambda: Data(
            x=torch.ones(3, 1), batch=torch.tensor([0, 0, 1]), ptr=torch.tensor([0, 1, 3])
        ),
        r"^data\.ptr does not agree with data\.batch",
    ),
    "a node less": (lambda: stale(drop_a_node), r"^data\.(ptr|batch) does not agree"),
    "another order": (
        lambda: stale(lambda batch: setattr(batch, "batch", batch.batch.flip(0))),
        r"^data\.ptr does not agree",
    ),
    "joined graphs": (
        lambda: stale(lambda batch: batch.update({"batch": batch.batch * 0, "ptr": None})),
        r"^data\.batch does not agree with the graphs",
    ),
    "no batch": (
        lambda: stale(lambda batch: batch.update({"batch": None})),
        r"^data\.batch does not agree with the graphs",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("num_samples", [1, 2])
def test_what_has_no_right_graph_is_one_line(name, num_samples):
    make, said = REFUSED[name]
    with pytest.raises(ValueError, match=said) as caught:
        PoissonEdges(num_samples=num_samples)(make())
    assert "\n" not in str(caught.value)


# ---- in the workers of a DataLoader


class Graphs(torch.utils.data.Dataset):
    """Graphs that a transform gives their edges, as PyG's data sets do."""

    def __init__(self, transform: PoissonEdges) -> None:
        self.transform = transform

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> Data:
        return self.transform(Data(x=torch.ones(12, 1)))


def loaded(transform: PoissonEdges, workers: int, **options) -> list[Batch]:
    torch.manual_seed(0)
    return list(DataLoader(Graphs(transform), batch_size=2, num_workers=workers, **options))


def test_workers_give_batches_without_a_gradient():
    transform = PoissonEdges(0.0, 0.7)
    batches = loaded(transform, workers=2)
    assert [batch.num_graphs for batch in batches] == [2, 2]
    drawn = [graph.edge_index.tolist() for batch in batches for graph in batch.to_data_list()]
    assert all(drawn[i] != drawn[j] for i in range(4) for j in range(i))  # each its own draw
    assert not any(batch.edge_weight.requires_grad for batch in batches)
    in_this_process = loaded(transform, workers=0)
    sum(batch.edge_weight.sum() for batch in in_this_process).backward()
    assert transform.beta.grad.item() > 0


def give_generator(_: int) -> None:
    worker = torch.utils.data.get_worker_info()
    worker.dataset.transform.generator = torch.Generator().manual_seed(worker.seed)


def test_workers_do_not_share_one_generators_draws():
    transform = PoissonEdges(0.0, 0.7, generator=torch.Generator().manual_seed(3))
    with pytest.raises(RuntimeError, match="PoissonEdges has a copy of the same generator in each"):
        loaded(transform, workers=2)
    batches = loaded(transform, workers=2, worker_init_fn=give_generator)
    drawn = [graph.edge_index.tolist() for batch in batches for graph in batch.to_data_list()]
    assert all(drawn[i] != drawn[j] for i in range(4) for j in range(i))
    assert len(loaded(transform, workers=0)) == 2  # in this process it is the one there is
