"""Batches that a formula of the paper is silent about, and numbers at the ends of their types."""

import copy
import itertools

import pytest
import torch
from torch import Tensor, nn

from pyg_agfn.nn import (
    AGFN,
    AGFNClassifier,
    GraphNormalizer,
    ReferenceBank,
)
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
