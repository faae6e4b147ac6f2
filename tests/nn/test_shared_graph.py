"""The rows of several processes against the whole batch, in threads that stand for processes.

What the rows are gathered with is tested with processes, in ``tests/distributed``.
"""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
import torch
from torch import Tensor, nn

from pyg_agfn.nn import AGFN
from pyg_agfn.transforms import PoissonEdges, SimilarityEdges, ThresholdEdges

COUNT = 2


class Threads:
    """``pyg_agfn.distributed`` for threads: each has a rank, and gathers what the others bring."""

    def __init__(self) -> None:
        self.local = threading.local()
        self.barrier = threading.Barrier(COUNT, timeout=30)
        self.brought: list[Tensor | None] = [None] * COUNT

    def gather_rows(self, x: Tensor) -> Tensor:
        self.brought[self.local.rank] = x
        self.barrier.wait()
        rows = torch.cat(list(self.brought))
        self.barrier.wait()
        return rows

    def own_rows(self, n: int) -> slice:
        return slice(self.local.rank * n // COUNT, (self.local.rank + 1) * n // COUNT)

    @contextmanager
    def patched(self, monkeypatch: pytest.MonkeyPatch):
        with monkeypatch.context() as patch:
            patch.setattr("pyg_agfn.nn.agfn.world_size", lambda: COUNT)
            patch.setattr("pyg_agfn.nn.agfn.own_rows", self.own_rows)
            for module in ("agfn", "graph_normalizer"):
                patch.setattr(f"pyg_agfn.nn.{module}.gather_rows", self.gather_rows)
            yield

    def run(self, layers: list[AGFN], x: Tensor) -> Tensor:
        """Each layer's answer to its part of the rows, draw by draw one after the other."""

        def one(rank: int) -> Tensor:
            self.local.rank = rank
            return layers[rank](x[self.own_rows(len(x))])

        with ThreadPoolExecutor(COUNT) as pool:
            return torch.cat(
                [out.unflatten(0, (-1, len(x) // COUNT)) for out in pool.map(one, range(COUNT))], 1
            )


def layer(edges: SimilarityEdges, gather: bool = True) -> AGFN:
    torch.manual_seed(0)
    agfn = AGFN(5, 3, hidden_channels=5, edges=edges, gather_distributed=gather).double()
    agfn.projector = nn.Identity()  # its batch normalization is not what is tested here
    return agfn


def poisson(**options) -> PoissonEdges:
    return PoissonEdges(2.0, 0.3, generator=torch.Generator().manual_seed(5), **options)


MAKERS = {
    "one draw": lambda: poisson(),
    "expectation": lambda: poisson(mode="expectation"),
    "to the features": lambda: poisson(mode="expectation", feature_gradient=True),
    "threshold": lambda: ThresholdEdges(0.1),
}


@pytest.mark.parametrize("kind", MAKERS)
def test_the_rows_of_all_are_those_of_the_whole_batch(kind, monkeypatch):
    make, threads = MAKERS[kind], Threads()
    x = torch.randn(8, 5, generator=torch.Generator().manual_seed(3)).double()
    weight = torch.randn(8, 3, generator=torch.Generator().manual_seed(4)).double()

    whole, at_once = layer(make()), x.clone().requires_grad_()
    expected = whole(at_once)
    (weight * expected).sum().backward()

    layers, shared = [layer(make()) for _ in range(COUNT)], x.clone().requires_grad_()
    with threads.patched(monkeypatch):
        (out,) = threads.run(layers, shared)
    torch.testing.assert_close(out, expected, atol=1e-12, rtol=0)
    (weight * out).sum().backward()
    torch.testing.assert_close(shared.grad, at_once.grad, atol=1e-12, rtol=0)
    for name, parameter in whole.named_parameters():
        # Each process holds a part of every gradient: theirs are summed.
        parts = [dict(one.named_parameters())[name].grad for one in layers]
        torch.testing.assert_close(sum(parts), parameter.grad, atol=1e-12, rtol=0)


def test_each_keeps_to_its_own_rows_unless_it_is_asked_to_gather(monkeypatch):
    threads, x = Threads(), torch.randn(8, 5).double()
    assert not AGFN(5, 3).gather_distributed
    layers = [layer(ThresholdEdges(0.1), gather=False) for _ in range(COUNT)]
    with threads.patched(monkeypatch):
        (out,) = threads.run(layers, x)
    alone = layer(ThresholdEdges(0.1))
    torch.testing.assert_close(out, torch.cat([alone(x[:4]), alone(x[4:])]))


def test_what_cannot_be_shared_is_said(monkeypatch):
    agfn, x = layer(ThresholdEdges(0.1)), torch.randn(4, 5).double()
    message = r'^gather_distributed=True joins .* of 2 .* needs propagation="dense" and no batch'
    with Threads().patched(monkeypatch):
        with pytest.raises(ValueError, match=rf"{message}, got a batch; with"):
            agfn(x, torch.zeros(4, dtype=torch.long))
        for propagation in ("edges", "tiles"):
            agfn.propagation = propagation
            with pytest.raises(ValueError, match=rf'{message}, got propagation="{propagation}"'):
                agfn(x)
            agfn(x, use_graph=False)  # there is nothing to gather
            agfn.gather_distributed = False
            agfn(x)
            agfn.gather_distributed = True
        agfn.eval()(x)  # each evaluates by itself
