"""Summing the features of drawn neighbours in tiles: PyG's sparse product, segments and scatter.

    .venv/bin/python benchmarks/reductions.py

512 features, one thread, fp32; every way in turn in one process, medians. "segment" and "scatter"
gather the features of the edges of a tile of rows, as the features of all edges would not fit in
memory. Whether PyG finds torch-scatter and torch-sparse is printed. Prints a Markdown table.
"""

import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor
from torch_geometric import EdgeIndex, typing
from torch_geometric.utils import scatter, segment, spmm, to_torch_csr_tensor

FEATURES, REPEATS = 512, 9
TILE_PAIRS = 1 << 24


def main() -> None:
    """Prints the table."""
    torch.set_num_threads(1)
    print(f"torch-scatter: {typing.WITH_TORCH_SCATTER}, torch-sparse: {typing.WITH_TORCH_SPARSE}\n")
    print("| nodes | edges | way | ms | to EdgeIndex |\n|---|---|---|---|---|")
    for nodes, degree in ((256, 130), (4096, 30), (16384, 30)):
        torch.manual_seed(0)
        drawn = torch.rand(nodes, nodes) < degree / nodes
        row, column = drawn.nonzero(as_tuple=True)
        values = torch.randn(nodes, FEATURES)
        seconds: dict[str, list[float]] = {name: [] for name in WAYS}
        for _ in range(REPEATS):
            for name, way in WAYS.items():
                start = time.perf_counter()
                out = way(row, column, values)
                seconds[name].append(time.perf_counter() - start)
                torch.testing.assert_close(out, by_edge_index(row, column, values))
        medians = {name: statistics.median(found) for name, found in seconds.items()}
        for name, value in medians.items():
            ratio = value / medians["EdgeIndex.matmul"]
            print(f"| {nodes:,} | {len(row):,} | {name} | {1000 * value:.1f} | {ratio:.2f} |")


def by_edge_index(row: Tensor, column: Tensor, values: Tensor) -> Tensor:
    """What ``AGFN(propagation="tiles")`` does."""
    edges = EdgeIndex(
        torch.stack([row, column]), sparse_size=(len(values), len(values)), sort_order="row"
    )
    return edges.matmul(values, values.new_ones(len(row)))


def by_csr(row: Tensor, column: Tensor, values: Tensor) -> Tensor:
    """A sparse tensor of PyTorch."""
    adj = to_torch_csr_tensor(
        torch.stack([row, column]),
        values.new_ones(len(row)),
        size=(len(values), len(values)),
        is_coalesced=True,
    )
    return spmm(adj, values)


def by_tile(
    reduce: Callable[[Tensor, Tensor], Tensor], row: Tensor, column: Tensor, values: Tensor
) -> Tensor:
    """A reduction of messages and pointers, a tile of rows at a time."""
    pointers = torch.searchsorted(row, torch.arange(len(values) + 1))
    size = max(1, TILE_PAIRS // len(values))
    parts = []
    for start in range(0, len(values), size):
        own = pointers[start : start + size + 1]
        parts.append(reduce(values[column[own[0] : own[-1]]], own - own[0]))
    return torch.cat(parts)


def scattered(messages: Tensor, pointers: Tensor) -> Tensor:
    """The sum by the index of each message."""
    index = torch.arange(len(pointers) - 1).repeat_interleave(pointers.diff())
    return scatter(messages, index, dim_size=len(pointers) - 1)


WAYS: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "EdgeIndex.matmul": by_edge_index,
    "spmm of CSR": by_csr,
    "segment, by tile": lambda *graph: by_tile(segment, *graph),
    "scatter, by tile": lambda *graph: by_tile(scattered, *graph),
}

if __name__ == "__main__":
    main()
