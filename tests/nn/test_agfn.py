import copy

import pytest
import torch
from torch import nn

from pyg_agfn.nn import AGFN, AGFNClassifier, BaselineClassifier, build_backbone
from pyg_agfn.transforms import PoissonEdges, ThresholdEdges


def layer(**options) -> AGFN:
    torch.manual_seed(0)
    return AGFN(10, 6, hidden_channels=8, edges=PoissonEdges(2.0, 0.3, **options))


def test_goes_between_an_extractor_and_a_classifier():
    model = nn.Sequential(nn.Linear(20, 10), AGFN(10, 6), nn.Linear(6, 3))
    loss = model(torch.randn(12, 20)).sum()
    loss.backward()
    assert all(p.grad is not None for p in model.parameters())
    assert {"1.edges.alpha", "1.edges.beta"} <= dict(model.named_parameters()).keys()
    assert model.eval()(torch.randn(12, 20)).shape == (12, 3)


def test_several_draws_give_as_many_rows_in_training_only():
    agfn, x = layer(num_samples=3), torch.randn(5, 10)
    assert agfn(x).shape == (15, 6)
    assert agfn.eval()(x).shape == (5, 6)


def test_training_draws_and_evaluation_does_not():
    agfn, x = layer(), torch.randn(20, 10)
    assert not torch.equal(agfn(x), agfn(x))
    agfn.eval()
    assert torch.equal(agfn(x), agfn(x))
    agfn.eval_mode = "sample"
    assert not torch.equal(agfn(x), agfn(x))


def test_a_sample_alone_is_the_layer_without_its_graph():
    agfn, x = layer().double().eval(), torch.randn(6, 10).double()
    together = agfn(x)
    alone = torch.cat([agfn(row.unsqueeze(0)) for row in x])
    apart = agfn(x, torch.arange(6))  # a batch of graphs of one node
    without = agfn(x, use_graph=False)
    torch.testing.assert_close(alone, without, atol=1e-12, rtol=0)
    torch.testing.assert_close(apart, without, atol=1e-12, rtol=0)
    assert (together - alone).abs().max() > 1e-3


def test_the_answer_depends_on_the_batch_but_not_on_its_order():
    agfn, x = layer().double().eval(), torch.randn(8, 10).double()
    order = torch.randperm(8)
    torch.testing.assert_close(agfn(x[order]), agfn(x)[order], atol=1e-12, rtol=0)
    assert (agfn(x[:4]) - agfn(x)[:4]).abs().max() > 1e-3


def test_features_get_the_gradient_of_the_fixed_graph():
    # Eq. 9-11 hold A constant for W: the gradient is that of the layer with the drawn matrix.
    agfn, x = layer().double(), torch.randn(6, 10).double().requires_grad_()
    torch.manual_seed(1)
    agfn(x).square().sum().backward()
    torch.manual_seed(1)
    projected = agfn.projector(x.detach()).detach().requires_grad_()
    adj = agfn.edges.adjacency(projected).detach()
    agfn.normalizer.dense_forward(projected, adj).square().sum().backward()
    again = x.detach().requires_grad_()
    agfn.projector(again).backward(projected.grad)
    torch.testing.assert_close(x.grad, again.grad, atol=1e-10, rtol=1e-10)


@pytest.mark.parametrize("propagation", ["dense", "edges", "tiles"])
def test_the_graph_is_passed_on_as_it_was_asked_for(propagation):
    """Each way of propagation is taken, and gets the batch."""
    agfn = AGFN(10, 6, hidden_channels=8, propagation=propagation).eval()
    calls = []
    name = {"dense": "dense_forward", "edges": "forward", "tiles": "tiled_forward"}[propagation]
    own = getattr(agfn.normalizer, name)
    setattr(agfn.normalizer, name, lambda *inputs: calls.append(1) or own(*inputs))
    x, batch = torch.randn(6, 10), torch.tensor([0, 0, 0, 1, 1, 1])
    apart = torch.cat([agfn(x[:3]), agfn(x[3:])])
    torch.testing.assert_close(agfn(x, batch), apart, atol=1e-6, rtol=1e-5)
    assert len(calls) == 3


def test_reset_parameters_starts_again():
    agfn = layer()
    with torch.no_grad():
        agfn.edges.alpha.fill_(5.0)
    before = agfn.normalizer.conv.lin.weight.clone()
    agfn.reset_parameters()
    assert agfn.edges.alpha.item() == 2.0
    assert not torch.equal(before, agfn.normalizer.conv.lin.weight)


@pytest.mark.parametrize("options", [{"eval_mode": "draw"}, {"propagation": "sparse"}])
def test_unknown_options_are_refused(options):
    known = {"eval_mode": "'sample', 'expectation'", "propagation": "'dense', 'edges', 'tiles'"}
    (name,) = options
    with pytest.raises(ValueError, match=rf"{name} must be one of \({known[name]}\), got"):
        AGFN(4, 4, **options)


def test_has_the_sizes_that_it_was_given():
    agfn = AGFN(10, 6)
    assert (agfn.in_channels, agfn.hidden_channels, agfn.out_channels) == (10, 512, 6)
    assert repr(agfn.normalizer) == "GraphNormalizer(512, 6)"
    assert AGFN(10)(torch.randn(4, 10)).shape == (4, 512)


# ---- classifiers


@pytest.mark.parametrize("name", ["resnet18", "resnet34", "resnet50", "small-cnn"])
@pytest.mark.parametrize("channels", [1, 3])
def test_backbones_yield_their_features(name, channels):
    backbone = build_backbone(name, channels)
    assert backbone(torch.randn(2, channels, 32, 32)).shape == (2, backbone.num_features)


def test_unknown_backbone_is_refused():
    with pytest.raises(ValueError, match="resnet152"):
        build_backbone("vgg")


@pytest.mark.parametrize("size", [28, 48])  # down to 1x1 and to 2x2
def test_tiny_maps_are_convolved_as_torchvision_does(size):
    import torchvision

    torch.manual_seed(0)
    ours = build_backbone("resnet18").double()
    theirs = torchvision.models.resnet18()
    theirs.fc = nn.Identity()
    theirs.double().load_state_dict(ours.state_dict())
    images = torch.randn(3, 3, size, size).double()
    for model in (ours, theirs):
        model(images).square().sum().backward()
    torch.testing.assert_close(ours(images), theirs(images), atol=1e-10, rtol=1e-10)
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, atol=1e-4, rtol=1e-5)


@pytest.mark.parametrize("size", [28, 48])
def test_tiny_maps_are_convolved_in_bf16_under_autocast(size):
    torch.manual_seed(0)
    layer4 = build_backbone("resnet18").layer4
    plain = copy.deepcopy(layer4)
    for module in plain.modules():
        if isinstance(module, nn.Conv2d):
            module.__class__ = nn.Conv2d
    maps = torch.randn(8, 256, -(-size // 16), -(-size // 16))
    with torch.autocast("cpu", torch.bfloat16):
        ours, theirs = layer4(maps), plain(maps)
    assert ours.dtype == torch.bfloat16
    ours.float().square().sum().backward()
    theirs.float().square().sum().backward()
    for one, other in [
        (ours.float(), theirs.float()),
        *((p.grad, q.grad) for p, q in zip(layer4.parameters(), plain.parameters(), strict=True)),
    ]:
        assert (one - other).norm() < 0.05 * other.norm()


def test_classifier_takes_any_module():
    extractor = nn.Sequential(nn.Flatten(), nn.Linear(12, 5))
    model = AGFNClassifier(extractor, num_classes=4, num_features=5, edges=ThresholdEdges(0.2))
    assert model(torch.randn(6, 3, 2, 2)).shape == (6, 4)
    with pytest.raises(ValueError, match="num_features"):
        BaselineClassifier(extractor, num_classes=4)


def test_classifier_is_features_then_head():
    model = AGFNClassifier("small-cnn", 4, in_channels=1).eval()
    images = torch.randn(6, 1, 8, 8)
    assert torch.equal(model(images), model.head(model.features(images)))
