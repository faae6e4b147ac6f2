"""A layer that is computed again, copied or rewritten by PyTorch gives the same, or refuses."""

import copy
import pickle

import pytest
import torch
from packaging.version import Version
from torch import Tensor
from torch.utils.checkpoint import checkpoint
from torch_geometric.data import Data

from pyg_agfn.nn import AGFN
from pyg_agfn.nn.tiled_normalizer import normalize_in_tiles
from pyg_agfn.transforms import PoissonEdges, sample_edges, straight_through

PROPAGATIONS = ["dense", "edges", "tiles"]
DEVICES = [
    "cpu",
    pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")),
]


def layer(propagation: str, device: str = "cpu", **options) -> AGFN:
    torch.manual_seed(0)
    edges = PoissonEdges(2.0, 0.3, **options)
    return AGFN(10, 6, hidden_channels=8, edges=edges, propagation=propagation).to(device)


def features(device: str = "cpu") -> Tensor:
    return torch.randn(9, 10, generator=torch.Generator().manual_seed(1)).to(device)


def gradients(agfn: AGFN, run) -> list[Tensor]:
    """Output and gradients, after a fixed seed."""
    x = features(agfn.edges.alpha.device.type).requires_grad_()
    torch.manual_seed(4)
    out = run(x)
    out.square().sum().backward()
    return [out.detach(), x.grad, *(p.grad for p in agfn.parameters())]


# ---- gradient checkpointing


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("reentrant", [True, False])
@pytest.mark.parametrize("propagation", PROPAGATIONS)
def test_a_checkpoint_draws_the_same_edges_again(propagation, reentrant, device):
    plain, again = layer(propagation, device), layer(propagation, device)
    expected = gradients(plain, plain)
    found = gradients(again, lambda x: checkpoint(again, x, use_reentrant=reentrant))
    for one, other in zip(expected, found, strict=True):
        torch.testing.assert_close(other, one)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("reentrant", [True, False])
@pytest.mark.parametrize("propagation", PROPAGATIONS)
def test_a_checkpoint_cannot_draw_from_an_own_generator_again(propagation, reentrant, device):
    agfn = layer(propagation, device, generator=torch.Generator(device).manual_seed(1))
    run = lambda x: checkpoint(agfn, x, use_reentrant=reentrant)  # noqa: E731
    with pytest.raises(RuntimeError, match=r"^PoissonEdges cannot .* leave generator out$"):
        gradients(agfn, run)
    gradients(agfn.eval(), run)  # nothing is drawn


# ---- copies


@pytest.mark.parametrize("make", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_a_copy_continues_from_the_same_state_of_its_own_generator(make):
    agfn, x = layer("dense", generator=torch.Generator().manual_seed(1)), features()
    agfn(x)
    twin = make(agfn)
    first = agfn(x)
    assert torch.equal(twin(x), first)
    assert not torch.equal(agfn(x), first)
    assert torch.equal(agfn(x), (twin(x), twin(x))[1])


def test_what_is_no_generator_is_refused():
    with pytest.raises(ValueError, match=r"^generator must be a torch.Generator, got 3$"):
        PoissonEdges(generator=3)


# ---- transforms of functions


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("propagation", PROPAGATIONS)
def test_a_functional_gradient_is_the_same_or_refused(propagation, training):
    agfn = layer(propagation).train(training)
    buffers = dict(agfn.named_buffers())

    def loss(parameters: dict[str, Tensor]) -> Tensor:
        torch.manual_seed(4)
        state = {**parameters, **{name: b.clone() for name, b in buffers.items()}}
        return torch.func.functional_call(agfn, state, (features(),)).square().sum()

    parameters = {name: p.detach() for name, p in agfn.named_parameters()}
    if propagation == "tiles" and not training:
        with pytest.raises(RuntimeError, match="saved tensor hooks"):
            torch.func.grad(loss)(parameters)
        return
    found = torch.func.grad(loss)(parameters)
    plain = layer(propagation).train(training)
    gradients(plain, plain)
    for name, parameter in plain.named_parameters():
        torch.testing.assert_close(found[name], parameter.grad)


def test_a_forward_derivative_of_a_draw_is_refused():
    x, edges = torch.randn(6, 4), PoissonEdges()
    with pytest.raises(NotImplementedError, match="jvp"):
        torch.func.jvp(lambda h: normalize_in_tiles(h, x, edges), (x,), (x,))
    with pytest.raises(NotImplementedError, match="jvp"):
        torch.func.jvp(lambda rate: straight_through(torch.ones(1, 6, 4), rate), (x,), (x,))


def test_a_forward_derivative_of_the_expectation_is_the_gradient():
    x, edges = torch.randn(6, 4), PoissonEdges(mode="expectation", average=False)
    loss = lambda p: torch.func.functional_call(edges, p, (Data(x=x),)).edge_weight.sum()  # noqa: E731
    parameters = {"alpha": torch.tensor(1.5), "beta": torch.tensor(0.4)}
    found = torch.func.grad(loss)(parameters)
    for name in parameters:
        tangent = {other: torch.tensor(float(other == name)) for other in parameters}
        _, slope = torch.func.jvp(loss, (parameters,), (tangent,))
        torch.testing.assert_close(slope, found[name])


def test_a_straight_through_estimate_can_be_vectorized():
    sample = (torch.rand(5, 2, 3, 3) < 0.5).float()
    target, weight = torch.rand(5, 3, 3), torch.rand(2, 3, 3)

    def loss(target: Tensor, sample: Tensor) -> Tensor:
        return (weight * straight_through(sample, target * target)).sum()

    found = torch.func.vmap(torch.func.grad(loss))(target, sample)
    torch.testing.assert_close(found, 2 * target * weight.sum(0))


@pytest.mark.filterwarnings("ignore")
def test_a_compiled_layer_is_the_same():
    agfn, own = layer("dense"), layer("dense")
    compiled = torch.compile(own, backend="aot_eager", fullgraph=True)
    for one, other in zip(gradients(agfn, agfn), gradients(own, compiled), strict=True):
        torch.testing.assert_close(other, one)


#: Of 2.4, torch.export can neither train batch normalization nor leave a batch's size open here.
exports = pytest.mark.skipif(
    Version(torch.__version__) < Version("2.5"), reason="torch.export of torch 2.4"
)


@exports
@pytest.mark.filterwarnings("ignore")
def test_an_exported_layer_keeps_the_gradient_of_every_pair():
    agfn = layer("dense")
    program = torch.export.export(layer("dense"), (features(),), strict=False).module()
    expected = gradients(agfn, agfn)
    x = features().requires_grad_()
    torch.manual_seed(4)
    out = program(x)
    out.square().sum().backward()
    found = dict(program.named_parameters())
    torch.testing.assert_close(out, expected[0])
    for name, parameter in agfn.named_parameters():
        torch.testing.assert_close(found[name].grad, parameter.grad, msg=name)


@exports
@pytest.mark.filterwarnings("ignore")
def test_an_exported_layer_takes_batches_of_any_size():
    agfn = layer("dense").eval()
    sizes = {0: torch.export.Dim("n", min=2)}
    program = torch.export.export(agfn, (features(),), dynamic_shapes=(sizes,), strict=False)
    x = torch.randn(13, 10)
    torch.testing.assert_close(program.module()(x), agfn(x))
    with pytest.raises(RuntimeError, match=r'^tiles cannot be exported: use propagation="dense"$'):
        torch.export.export(layer("tiles"), (features(),), strict=False)


def test_second_derivatives_of_features_with_a_zero_row_are_finite():
    x = torch.randn(5, 4).double()
    x[2] = 0
    x.requires_grad_()
    edges = PoissonEdges(1.5, 0.4, mode="expectation", feature_gradient=True).double()
    (first,) = torch.autograd.grad(edges.adjacency(x).square().sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(first.sin().sum(), x)
    assert second.isfinite().all()
    y = torch.randn(4, 3).double().requires_grad_()
    assert torch.autograd.gradgradcheck(lambda y: edges.adjacency(y).square().sum(), y)


def test_a_function_that_seeds_itself_may_be_computed_again():
    probability = torch.rand(4, 4, requires_grad=True)

    def draw(p: Tensor) -> Tensor:
        sample = sample_edges(p.detach(), generator=torch.Generator().manual_seed(2))
        return straight_through(sample, p)

    checkpoint(draw, probability, use_reentrant=False).sum().backward()
    assert torch.equal(probability.grad, torch.ones(4, 4))
