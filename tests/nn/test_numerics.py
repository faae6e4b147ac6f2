"""Batches that a formula of the paper is silent about, and numbers at the ends of their types."""

import copy
import itertools

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import Data

from pyg_agfn.nn import (
    AGFN,
    AGFNClassifier,
    CrossBatchMemory,
    GraphNormalizer,
    ReferenceBank,
    choose_references,
    normalize_features,
)
from pyg_agfn.nn.reference_bank import expected_degree
from pyg_agfn.nn.tiled_normalizer import normalize_in_tiles
from pyg_agfn.transforms import PoissonEdges, ThresholdEdges, cosine_similarity

PROPAGATIONS = ["dense", "edges", "tiles"]
HALVES = [torch.bfloat16, torch.float16]
EXTREMES = [(1e30, 0.0), (-1e30, 0.0), (0.0, 1e30), (0.0, -1e30), (1e30, -1e30), (1e4, -1e4)]


def layer(propagation: str = "dense", alpha: float = 2.0, beta: float = 0.3, **options) -> AGFN:
    torch.manual_seed(0)
    edges = PoissonEdges(alpha, beta, **options)
    return AGFN(10, 6, hidden_channels=8, edges=edges, propagation=propagation)


def features(kind: str, n: int) -> Tensor:
    torch.manual_seed(1)
    x = torch.randn(n, 10)
    return {
        "ordinary": x,
        "duplicates": x[:1].repeat(n, 1),
        "zeros": torch.zeros_like(x),
        "tiny": 1e-20 * x,
        "huge": 1e20 * x,
    }[kind]


def assert_finite(module: nn.Module, x: Tensor, *inputs: Tensor) -> None:
    """Output and gradients, of a loss that takes the output as it is."""
    x = x.requires_grad_()
    out = module(x, *inputs)
    assert out.isfinite().all()
    (out.float() * torch.linspace(-1, 1, out.size(-1))).mean().backward()
    for name, tensor in [("input", x), *module.named_parameters()]:
        assert tensor.grad is not None, name
        assert tensor.grad.isfinite().all(), name


@pytest.mark.parametrize("propagation", PROPAGATIONS)
@pytest.mark.parametrize("kind", ["ordinary", "duplicates", "zeros", "tiny"])
@pytest.mark.parametrize("training", [True, False])
def test_batches_of_any_size_and_parameters_of_any_value(kind, propagation, training):
    for n, draws in itertools.product([2, 9] if training else [1, 2, 9], [1, 3]):
        for alpha, beta in [*EXTREMES, (0.0, 0.0)]:
            agfn = layer(propagation, alpha, beta, num_samples=draws).train(training)
            assert_finite(agfn, features(kind, n))


@pytest.mark.parametrize("propagation", PROPAGATIONS)
@pytest.mark.parametrize("kind", ["ordinary", "duplicates", "zeros"])
@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("training", [True, False])
def test_in_half_precision(kind, dtype, propagation, training):
    for alpha, beta in [(2.0, 0.3), (1e4, -1e4), (-1e4, 1e4)]:
        x = features(kind, 9)
        agfn = layer(propagation, alpha, beta, average=False).train(training)
        with torch.autocast("cpu", dtype):
            assert_finite(copy.deepcopy(agfn), x.clone())
        half = agfn.to(dtype)
        assert_finite(half, x.to(dtype))
        assert half(x.to(dtype)).dtype == dtype


@pytest.mark.parametrize("propagation", PROPAGATIONS)
@pytest.mark.parametrize("dtype", HALVES)
def test_half_precision_rounds_and_does_no_more(dtype, propagation):
    x, pairs = features("ordinary", 300), "all" if propagation == "edges" else "sampled"
    half = layer(propagation, pairs=pairs).to(dtype).eval()
    exact = copy.deepcopy(half).double()  # the same, rounded weights
    found = [module(x.to(dtype).to(t)) for module, t in ((half, dtype), (exact, torch.float64))]
    scale = found[1].abs().max()
    assert ((found[0].double() - found[1]).abs().max() / scale) < 8 * torch.finfo(dtype).eps


@pytest.mark.parametrize("dtype", HALVES)
def test_more_neighbours_than_half_precision_can_count(dtype):
    # bfloat16 has no whole number between 256 and 258.
    normalizer = GraphNormalizer(2, 2).to(dtype)
    nn.init.eye_(normalizer.conv.lin.weight)
    x = torch.zeros(400, 2, dtype=dtype)
    x[0] = 1
    to_the_first = torch.stack([torch.arange(1, 400), torch.zeros(399, dtype=torch.long)])
    out = normalizer(x, to_the_first)
    assert out.dtype == dtype
    assert out[0].tolist() == pytest.approx([1 / 400] * 2, rel=0.01)


@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("average", [True, False])
def test_a_gradient_over_more_pairs_than_float16_can_count(dtype, average):
    n = 300
    edges = PoissonEdges(0.0, 0.1, average=average).to(dtype)
    # Of 90,000 pairs half are for and half against: the sum on the way is what has to be held.
    against = torch.ones(n, n)
    against[: n // 2] = -1
    against[0] = 1
    (against * edges.adjacency(torch.ones(n, 4, dtype=dtype))[0]).sum().backward()
    expected = 600 / (n * n if average else 1)
    assert edges.beta.grad.item() == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize("scale", [1e-38, 1e-20, 1e20, 1e37])
def test_the_cosine_does_not_depend_on_the_length(scale):
    x, weight = features("ordinary", 6), torch.randn(6, 6)
    near, far = x.clone().requires_grad_(), (scale * x).requires_grad_()
    torch.testing.assert_close(cosine_similarity(far), cosine_similarity(near))
    torch.testing.assert_close(cosine_similarity(far, near), cosine_similarity(near))
    for x in (near, far):
        (weight * cosine_similarity(x)).sum().backward()
    torch.testing.assert_close(scale * far.grad, near.grad, atol=1e-5, rtol=1e-4)


def test_the_cosine_of_the_smallest_numbers_there_are():
    x = torch.tensor([[1e-45, 0.0], [0.0, 1e-40], [-1e-42, 0.0]])
    expected = torch.tensor([[1.0, 0.0, -1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 1.0]])
    torch.testing.assert_close(cosine_similarity(x), expected)


@torch.no_grad()
@pytest.mark.parametrize("kind", ["ordinary", "duplicates", "zeros", "tiny", "huge"])
@pytest.mark.parametrize(("alpha", "beta"), EXTREMES)
@pytest.mark.parametrize("size", [1, 9])
def test_a_bank_of_anything_answers(kind, alpha, beta, size):
    agfn = layer("dense", alpha, beta).eval()
    bank = ReferenceBank.from_features(agfn, features(kind, size))
    for query in ("ordinary", "zeros", "tiny", "huge"):
        assert bank(features(query, 3)).isfinite().all()


@torch.no_grad()
@pytest.mark.parametrize("dtype", HALVES)
def test_a_bank_in_half_precision(dtype):
    agfn, x, references = layer().eval(), features("ordinary", 5), torch.randn(400, 10)
    half = copy.deepcopy(agfn).to(dtype)
    out = ReferenceBank.from_features(half, references.to(dtype))(x.to(dtype))
    assert out.dtype == dtype
    exact = ReferenceBank.from_features(half.double(), references.to(dtype).double())
    expected = exact(x.to(dtype).double())
    assert (out.double() - expected).abs().max() < 8 * torch.finfo(dtype).eps * expected.abs().max()


@pytest.mark.parametrize(
    "images", [torch.zeros(6, 1, 8, 8), torch.ones(1, 1, 8, 8).repeat(6, 1, 1, 1)]
)
@pytest.mark.parametrize("classes", [1, 3])
def test_a_classifier_of_blank_images_or_of_one_class(images, classes):
    torch.manual_seed(0)
    model = AGFNClassifier("small-cnn", classes, in_channels=1, hidden_channels=16)
    loss = nn.functional.cross_entropy(model(images), torch.zeros(6, dtype=torch.long))
    loss.backward()
    assert loss.isfinite()
    assert all(p.grad.isfinite().all() for p in model.parameters())
    assert model.eval()(images[:1]).isfinite().all()


@pytest.mark.parametrize("propagation", PROPAGATIONS)
def test_one_image_cannot_be_trained_on(propagation):
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        layer(propagation)(features("ordinary", 1))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("name", ["alpha", "beta"])
def test_parameters_that_are_no_numbers_are_refused(name, value):
    with pytest.raises(ValueError, match=f"^{name} must be a finite number, got {value}$"):
        PoissonEdges(**{name: value})


@pytest.mark.parametrize("propagation", PROPAGATIONS)
def test_what_is_not_finite_is_not_hidden(propagation):
    """A feature that is NaN reaches the loss, where training stops."""
    for edges in (PoissonEdges(2.0, 0.3), ThresholdEdges(0.1)):
        torch.manual_seed(0)
        agfn = AGFN(10, 6, hidden_channels=8, edges=edges, propagation=propagation)
        x = features("ordinary", 6)
        x[1, 2] = torch.nan
        for training in (True, False):
            assert agfn.train(training)(x)[1].isnan().all()


# ---- batches of no sample, features of no column, and what is none of either


@pytest.mark.parametrize("propagation", PROPAGATIONS)
@pytest.mark.parametrize("eval_mode", ["expectation", "sample"])
@pytest.mark.parametrize("batch", [None, torch.zeros(0, dtype=torch.long)])
def test_no_sample_has_no_answer(propagation, eval_mode, batch):
    agfn = layer(propagation, num_samples=2).eval()
    agfn.eval_mode = eval_mode
    x = torch.zeros(0, 10, requires_grad=True)
    out = agfn(x, batch)
    assert out.shape == (0, 6)
    out.sum().backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in agfn.parameters())
    with pytest.raises(ValueError, match=r"^x has no sample: training needs"):
        agfn.train()(x)
    assert all(b.isfinite().all() for b in agfn.buffers())


@pytest.mark.parametrize("num_samples", [1, 3])
@pytest.mark.parametrize("nodes", [0, 4])
def test_no_node_and_no_column(num_samples, nodes):
    """Features of no column are zero vectors: all rates are beta."""
    edges = PoissonEdges(2.0, 50.0, num_samples=num_samples, tile_size=3)
    x = torch.zeros(nodes, 0)
    assert cosine_similarity(x).tolist() == torch.zeros(nodes, nodes).tolist()
    assert edges.adjacency(x).sum() == num_samples * nodes**2
    drawn = edges.draw_in_tiles(edges.tiles(x))
    assert [len(source) for source, _, _ in drawn] == [nodes**2] * num_samples
    assert edges(Data(x=x)).num_edges == num_samples * nodes**2
    h = torch.randn(nodes, 2)
    for mode, draws in (("sample", num_samples), ("expectation", 1)):
        tiled = normalize_in_tiles(h, x, edges, mode=mode)
        torch.testing.assert_close(tiled, normalize_features(h, edges.adjacency(x, mode=mode)))
        assert tiled.shape == (draws, nodes, 2)


@torch.no_grad()
def test_a_bank_and_a_memory_of_no_query():
    agfn = layer().eval()
    bank = ReferenceBank.from_features(agfn, features("ordinary", 4))
    assert bank(torch.zeros(0, 10)).shape == (0, 6)
    assert expected_degree(agfn, torch.zeros(0, 8)).shape == (0,)
    memory, none = CrossBatchMemory(5, 8, 3), torch.zeros(0, dtype=torch.long)
    memory.push(torch.zeros(0, 8), torch.zeros(0, 3), none, torch.zeros(0), none)
    assert memory.written == 0
    assert memory.opinion(agfn.edges, torch.zeros(0, 8), none).shape == (0, 3)
    assert [len(part) for part in memory.opinions(agfn.edges)] == [0, 0]
    for size in (0, 2.5, True):
        with pytest.raises(ValueError, match=f"^size must be .* at least 1, got {size}$"):
            choose_references(None, torch.zeros(0, 8), none, size)
    for choice in ("random", "class-balanced"):
        assert choose_references(None, torch.zeros(0, 8), none, 3, choice).tolist() == []


@torch.no_grad()
@pytest.mark.parametrize("dtype", [*HALVES, torch.float64])
def test_a_bank_and_a_memory_that_are_moved_to_another_type(dtype):
    agfn, x = layer().eval(), features("ordinary", 5)
    bank = ReferenceBank.from_features(agfn, torch.randn(40, 10))
    expected = copy.deepcopy(bank)(x)
    out = bank.to(dtype)(x.to(dtype))
    assert out.dtype == dtype
    rounding = max(torch.finfo(dtype).eps, 1e-6)
    assert (out.float() - expected).abs().max() < 16 * rounding * expected.abs().max()
    assert all(part.isfinite().all() for part in bank.weights(x.to(dtype)))

    memory, z, index = CrossBatchMemory(9, 8, 3), torch.randn(7, 8), torch.arange(7)
    targets = torch.eye(3)[index % 3]
    memory.push(z, targets, index % 3, torch.zeros(7), index)
    edges = PoissonEdges(2.0, 0.3)
    expected = memory.opinion(edges, z, index)
    found = memory.to(dtype).opinion(edges.to(dtype), z.to(dtype), index)
    assert (found.float() - expected).abs().max() < 16 * rounding
    memory.push(z.to(dtype), targets.to(dtype), index % 3, torch.zeros(7), index)


def test_the_dense_layer_has_shapes_on_the_meta_device():
    agfn = layer("dense", num_samples=2).to("meta")
    assert agfn(torch.zeros(5, 10, device="meta")).shape == (10, 6)
    for propagation in ("edges", "tiles"):
        agfn.propagation = propagation
        with pytest.raises(ValueError, match=r"^x is on the meta device.*propagation=\"dense\""):
            agfn(torch.zeros(5, 10, device="meta"))


NO_FEATURES = {
    "one dimension": torch.zeros(4),
    "whole numbers": torch.zeros(4, 10, dtype=torch.long),
    "complex": torch.zeros(4, 10, dtype=torch.complex64),
    "sparse": torch.zeros(4, 10).to_sparse_csr(),
    "nested": torch.nested.nested_tensor([torch.zeros(2, 10), torch.zeros(3, 10)]),
    "no tensor": [[0.0] * 10] * 4,
}


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
@pytest.mark.parametrize("kind", NO_FEATURES)
def test_what_are_no_features_is_refused_by_name(kind):
    x, agfn = NO_FEATURES[kind], layer().eval()
    bank = ReferenceBank.from_features(agfn, features("ordinary", 4))
    memory, index = CrossBatchMemory(5, 10, 3), torch.arange(4)
    asked = [
        ("x", agfn),
        ("x", PoissonEdges().adjacency),
        ("x", ThresholdEdges().adjacency),
        ("x", PoissonEdges().tiles),
        ("x", bank),
        ("features", lambda x: ReferenceBank.from_features(agfn, x)),
        ("projected", lambda x: ReferenceBank(agfn, x)),
        ("z", lambda x: memory.opinion(agfn.edges, x, index)),
        ("features", lambda x: memory.push(x, torch.zeros(4, 3), index, index, index)),
    ]
    for name, function in asked:
        with pytest.raises(ValueError, match=f"^{name} must be a dense floating-point tensor of"):
            function(x)


@pytest.mark.parametrize("propagation", PROPAGATIONS)
def test_rows_that_are_not_contiguous(propagation):
    agfn, x = layer(propagation).eval(), features("ordinary", 9)
    strided = x.t().contiguous().t()[::2]
    assert not strided.is_contiguous()
    torch.testing.assert_close(agfn(strided), agfn(x[::2].clone()))


@pytest.mark.parametrize("propagation", PROPAGATIONS)
def test_a_batch_that_does_not_fit_is_refused(propagation):
    agfn, x = layer(propagation).eval(), features("ordinary", 4)
    for batch in (
        torch.zeros(1, dtype=torch.long),  # would be as good as no batch
        torch.zeros(5, dtype=torch.long),
        torch.zeros(4),
        torch.zeros(4, dtype=torch.bool),
        torch.zeros(4, 1, dtype=torch.long),
        torch.zeros(4, dtype=torch.long, device="meta"),
        [0, 0, 1, 1],
    ):
        with pytest.raises(ValueError, match=r"^batch must be a tensor of integers of shape \[4\]"):
            agfn(x, batch)
    apart = agfn(x, torch.tensor([0, 0, 1, 1]))
    for same in (torch.tensor([-3, -3, 7, 7]), torch.tensor([5, 5, 2, 2], dtype=torch.int32)):
        torch.testing.assert_close(agfn(x, same), apart)


def test_a_memory_refuses_another_number_of_samples():
    memory, index = CrossBatchMemory(5, 2, 3), torch.arange(4)
    x, targets = torch.zeros(4, 2), torch.zeros(4, 3)
    with pytest.raises(ValueError, match=r"^labels must be of 4 samples .*, got 1$"):
        memory.push(x, targets, index[:1], index, index)
    with pytest.raises(ValueError, match=r"^index must be a tensor of integers of shape \[4\]"):
        memory.opinion(PoissonEdges(), x, index[:1])


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("num_samples", 1.5, "an integer of at least 1"),
        ("num_samples", True, "an integer of at least 1"),
        ("tile_size", 2.5, "an integer of at least 1"),
        ("alpha", "2", "a finite number"),
        ("alpha", torch.tensor(2.0), "a finite number"),
        ("beta", True, "a finite number"),
        ("beta", None, "a finite number"),
    ],
)
def test_options_of_another_kind_are_refused(name, value, said):
    with pytest.raises(ValueError, match=rf"^{name} must be {said}, got "):
        PoissonEdges(**{name: value})
    with pytest.raises(ValueError, match=r"^threshold must be a finite number, got nan$"):
        ThresholdEdges(float("nan"))
    assert PoissonEdges(np.float32(2), np.int64(1), np.int64(2)).alpha.item() == 2


@pytest.mark.parametrize("propagation", PROPAGATIONS)
def test_an_unknown_mode_is_refused_where_it_is_given(propagation):
    agfn, x = layer(propagation).eval(), features("ordinary", 4)
    agfn.eval_mode = "mean"
    with pytest.raises(ValueError, match=r"^mode must be one of .*, got 'mean'$"):
        agfn(x)


def test_a_sparse_graph_takes_no_second_weights():
    normalizer, adj = GraphNormalizer(2, 2), torch.eye(3).to_sparse_csr()
    with pytest.raises(ValueError, match=r"^edge_weight must be None.*sparse"):
        normalizer(torch.ones(3, 2), adj, torch.ones(3))
