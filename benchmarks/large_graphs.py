"""Drawing and normalizing graphs of up to 65,536 nodes in tiles, against the dense matrix.

    .venv/bin/python benchmarks/large_graphs.py

512 features, alpha = 8, beta such that a node has about 30 neighbours; forward and backward, with
the gradient of alpha and beta over all pairs. Each row is a process of its own, so that its peak
memory is its own. "product" is the one matrix product that no implementation can avoid: that of all
similarities, in the same tiles. Prints a Markdown table.
"""

import argparse
import json
import resource
import subprocess
import sys
import time

import torch
from torch import Tensor

from pyg_agfn.nn.graph_normalizer import normalize_features
from pyg_agfn.nn.tiled_normalizer import normalize_in_tiles
from pyg_agfn.transforms import PoissonEdges, cosine_similarity

SIZES = (1024, 4096, 16384, 65536)
LARGEST_DENSE = 16384
FEATURES = 512
DEGREE = 30.0
ALPHA = 8.0


def main() -> None:
    """Prints the table; with --one, one row's figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--one", nargs=2, metavar=("WAY", "NODES"))
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    device = arguments.device
    if arguments.one:
        way, size = arguments.one
        print(json.dumps(measure(way, int(size), torch.device(device))))
        return
    print("| nodes | edges | product, s | tiles, s | ratio | tiles, MiB | dense, s | dense, MiB |")
    print("|---|---|---|---|---|---|---|---|")
    for nodes in SIZES:
        product, tiles = (row(way, nodes, device) for way in ("product", "tiles"))
        cells = [
            f"{nodes:,}",
            f"{int(tiles['edges']):,}",
            f"{product['seconds']:.2f}",
            f"{tiles['seconds']:.2f}",
            f"{tiles['seconds'] / product['seconds']:.2f}",
            f"{tiles['mebibytes']:,.0f}",
            "",
            "",
        ]
        if nodes <= LARGEST_DENSE:
            dense = row("dense", nodes, device)
            cells[-2:] = f"{dense['seconds']:.2f}", f"{dense['mebibytes']:,.0f}"
        print("| " + " | ".join(cells) + " |", flush=True)


def row(way: str, nodes: int, device: str) -> dict[str, float]:
    """The figures of one implementation and size, from a process of its own."""
    command = [sys.executable, __file__, "--device", device, "--one", way, str(nodes)]
    found = subprocess.run(command, check=True, capture_output=True, text=True)
    figures: dict[str, float] = json.loads(found.stdout)
    return figures


def measure(way: str, nodes: int, device: torch.device) -> dict[str, float]:
    """Seconds, and memory in addition to the features."""
    torch.manual_seed(0)
    x = torch.randn(nodes, FEATURES, device=device)
    h = torch.randn(nodes, FEATURES, device=device, requires_grad=True)
    edges = PoissonEdges(ALPHA, choose_beta(x), average=False).to(device)
    if device.type == "cuda":  # its first use sets up libraries
        few = h[:256].detach().requires_grad_()
        normalize_in_tiles(few, x[:256], edges).sum().backward()
        torch.cuda.reset_peak_memory_stats()
        torch.cuda.synchronize()
    before = peak(device)
    start = time.perf_counter()
    drawn = 0
    if way == "product":
        for _, similarity, _ in edges.tiles(x):
            drawn += len(similarity)
    elif way == "tiles":
        normalize_in_tiles(h, x, edges).square().sum().backward()
    else:
        normalize_features(h, edges.adjacency(x)).square().sum().backward()
    if device.type == "cuda":
        torch.cuda.synchronize()
    seconds = time.perf_counter() - start
    memory = peak(device) - before
    if way == "tiles":
        ((source, _, _),) = edges.draw_in_tiles(edges.tiles(x))
        drawn = source.numel()
    return {"seconds": seconds, "mebibytes": memory, "edges": drawn}


def choose_beta(x: Tensor) -> float:
    """The beta with a mean degree of about 30, by bisection on some of the rows."""
    similarity = cosine_similarity(x[:256], x)
    low, high = -ALPHA, ALPHA
    for _ in range(40):
        beta = (low + high) / 2
        degree = PoissonEdges(ALPHA, beta).to(x.device).expected_weight(similarity).sum(1).mean()
        low, high = (beta, high) if degree < DEGREE else (low, beta)
    return low


def peak(device: torch.device) -> float:
    """Most memory that this process held, in MiB; on a GPU that of its tensors."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


if __name__ == "__main__":
    main()
