"""The time that the graph takes: similarity, draw and normalization, forward and backward.

    .venv/bin/python benchmarks/layer.py

N = 256 samples, 512 features, S = 4 and 8 draws, fp32, one thread. All implementations run in turn
in one process; figures are medians and ratios. Each computes Eq. 2-6 from the projected features,
and the gradient of the features, of W, and of alpha and beta over *all* pairs. The one marked
"drawn pairs" has the gradient of the drawn edges only. "products" are the matrix products that no
implementation can avoid: the similarities, X W and its two gradients, and for each draw A H, A^T G
and G H^T.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor
from torch_geometric.data import Data
from torch_geometric.nn import DenseGCNConv, GCNConv

from pyg_agfn.nn import GraphNormalizer
from pyg_agfn.nn.tiled_normalizer import normalize_in_tiles
from pyg_agfn.transforms import PoissonEdges

NODES, FEATURES = 256, 512


def main() -> None:
    """Prints a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--draws", type=int, nargs="+", default=[4, 8], metavar="S")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--compile", action="store_true", help="torch.compile too: minutes")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    for draws in arguments.draws:
        table(draws, arguments)


def table(draws: int, arguments: argparse.Namespace) -> None:
    """Prints a row for every implementation with S draws."""
    device = torch.device(arguments.device)
    medians = measure(draws, device, arguments.repeats, arguments.compile)
    ours = medians["AGFN, dense"]
    print(f"\nS = {draws}, {device}, {arguments.threads} thread(s)\n")
    print("| implementation | ms | to the products | to AGFN, dense |\n|---|---|---|---|")
    for name, value in medians.items():
        ratio = value / medians["products"]
        print(f"| {name} | {1000 * value:.2f} | {ratio:.2f} | {value / ours:.2f} |")


def measure(draws: int, device: torch.device, repeats: int, compiled: bool) -> dict[str, float]:
    """The median seconds of every implementation with S draws."""
    torch.manual_seed(0)
    x = torch.randn(NODES, FEATURES, device=device).relu_().requires_grad_()
    ways = make_ways(x, draws, compiled)
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for repeat in range(repeats + 2):
        for name, way in ways.items():
            if "all pairs, GCNConv" in name and repeat > 4:
                continue  # seconds each
            start = time.perf_counter()
            way()
            if device.type == "cuda":
                torch.cuda.synchronize()
            if repeat >= 2:
                seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in seconds.items() if values}


def make_ways(x: Tensor, draws: int, compiled: bool) -> dict[str, Callable[[], None]]:
    """Each implementation by its name, as a function of one forward and backward pass."""
    device = x.device
    edges = PoissonEdges(num_samples=draws).to(device)
    every = PoissonEdges(num_samples=draws, pairs="all").to(device)
    normalizer = GraphNormalizer(FEATURES, FEATURES).to(device)
    dense_conv = DenseGCNConv(FEATURES, FEATURES, bias=False).to(device)
    conv = GCNConv(FEATURES, FEATURES, add_self_loops=False, bias=False).to(device)

    def products() -> None:
        square, wide = torch.ones(NODES, NODES, device=device), x.detach()
        many = torch.ones(draws, NODES, NODES, device=device)
        tall = torch.ones(draws, NODES, FEATURES, device=device)
        weight = normalizer.conv.lin.weight.detach()
        torch.mm(wide, wide.t(), out=square)
        torch.mm(wide, weight)
        torch.mm(wide, weight.t())
        torch.mm(wide.t(), wide)
        many @ tall
        many.transpose(1, 2) @ tall
        tall @ tall.transpose(1, 2)

    def dense() -> Tensor:
        return normalizer.dense_forward(x, edges.adjacency(x))

    def scaled_features() -> Tensor:
        h, adj = normalizer.conv.lin(x), edges.adjacency(x)
        scale = (1 + adj.sum(-1, keepdim=True)).rsqrt()
        scaled = scale * h
        return scale * (adj @ scaled + scaled)

    def block_diagonal() -> Tensor:
        h, adj = normalizer.conv.lin(x), edges.adjacency(x)
        scale = (1 + adj.sum(-1)).rsqrt()
        loops = torch.eye(NODES, device=device)
        weight = (adj + loops) * scale.unsqueeze(-1) * scale.unsqueeze(-2)
        return torch.block_diag(*weight) @ h.repeat(draws, 1)

    def pyg_dense() -> Tensor:
        return dense_conv(x.expand(draws, -1, -1), edges.adjacency(x))

    def tiles() -> Tensor:
        h = normalizer.conv.lin(x)
        return normalize_in_tiles(h, x, edges)

    def message_passing(transform: PoissonEdges) -> Tensor:
        data = transform(Data(x=x))
        return conv(data.x, data.edge_index, data.edge_weight)

    ones = torch.ones(draws * NODES, FEATURES, device=device)

    def backward(forward: Callable[[], Tensor]) -> Callable[[], None]:
        return lambda: forward().view_as(ones).backward(ones)

    ways = {
        "products": products,
        "AGFN, dense": backward(dense),
        "scaling the features, a product a draw": backward(scaled_features),
        "one block-diagonal matrix": backward(block_diagonal),
        "AGFN, tiles": backward(tiles),
        "DenseGCNConv": backward(pyg_dense),
        "drawn pairs, GCNConv": backward(lambda: message_passing(edges)),
        "all pairs, GCNConv": backward(lambda: message_passing(every)),
    }
    if compiled:
        ways["AGFN, dense, torch.compile"] = backward(torch.compile(dense))
    return ways


if __name__ == "__main__":
    main()
