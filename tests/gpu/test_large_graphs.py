"""Tens of thousands of nodes in tiles on a GPU, against the CPU over the same drawn edges."""

import pytest
import torch

from pyg_agfn.nn.tiled_normalizer import normalize_in_tiles
from pyg_agfn.transforms import PoissonEdges, edge_probability, poisson_rate

FEATURES = 512
ALPHA, BETA = 8.0, -1.0


@pytest.fixture(params=[False, True], ids=["identity", "several draws"])
def edges(request) -> PoissonEdges:
    return PoissonEdges(ALPHA, BETA, num_samples=2 if request.param else 1, average=False)


def passes(h, x, edges):
    """Output, and the gradients of the features, of alpha and of beta."""
    h = h.detach().requires_grad_()
    out = normalize_in_tiles(h, x, edges)
    weight = torch.linspace(-1, 1, out.size(-1), device=out.device, dtype=out.dtype)
    (out.square() * weight).sum().backward()
    return [t.detach().cpu() for t in (out, h.grad, edges.alpha.grad, edges.beta.grad)]


def test_tiles_are_those_on_the_cpu(device, edges, monkeypatch):
    nodes = 65_536 if device.type == "cuda" else 2_048
    if edges.num_samples > 1:
        nodes //= 8
    torch.manual_seed(0)
    x, h = torch.randn(nodes, FEATURES), torch.randn(nodes, FEATURES)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    draws = []
    draw_in_tiles = PoissonEdges.draw_in_tiles

    def recorded(self, tiles):
        draws.append(draw_in_tiles(self, tiles))
        return draws[-1]

    with monkeypatch.context() as patch:
        patch.setattr(PoissonEdges, "draw_in_tiles", recorded)
        found = passes(h.to(device), x.to(device), edges.to(device))
    if device.type == "cuda":
        assert torch.cuda.max_memory_allocated(device) < 8 * 2**30

    (drawn,) = draws
    assert len(drawn) == edges.num_samples
    on_cpu = [tuple(t.cpu() for t in draw) for draw in drawn]
    expected_edges = PoissonEdges(ALPHA, BETA, edges.num_samples, average=False)
    with monkeypatch.context() as patch:
        patch.setattr(PoissonEdges, "draw_in_tiles", lambda self, tiles: on_cpu)
        expected = passes(h, x, expected_edges)
    for name, one, other in zip(("out", "h", "alpha", "beta"), found, expected, strict=True):
        scale = float(other.abs().max())
        torch.testing.assert_close(one / scale, other / scale, rtol=1e-3, atol=1e-4, msg=name)

    # Each drawn pair is one that can be joined, and there are as many as are expected.
    unit = torch.nn.functional.normalize(x)
    rows = unit[:256]
    probability = edge_probability(poisson_rate(rows @ unit.t(), ALPHA, BETA)).double()
    mean, spread = probability.sum(), (probability * (1 - probability)).sum().sqrt()
    for source, target, similarity in on_cpu:
        assert source.max() < nodes
        cosine = (unit[source[:1000]] * unit[target[:1000]]).sum(1)
        torch.testing.assert_close(similarity[:1000], cosine, rtol=0, atol=1e-5)
        assert (similarity > -BETA / ALPHA - 1e-4).all()
        assert abs((target < 256).sum() - mean) < 6 * spread + 1
