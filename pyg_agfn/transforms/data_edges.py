"""New edges for a PyG graph: what belonged to the old edges leaves it, batches stay batches."""

import copy
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import Batch, Data

from pyg_agfn.transforms.checks import check_labels


def put_edges(
    data: Data, sample: Tensor, target: Tensor, source: Tensor, weight: Tensor, num_samples: int
) -> Data:
    r"""The graph with these edges in the place of its own, :math:`S` times if there are draws.

    Args:
        data (Data): Graph, or batch of graphs; it stays as it is.
        sample (Tensor): The draw of each edge.
        target (Tensor): Its target node, ascending in each draw.
        source (Tensor): Its source node.
        weight (Tensor): Its weight.
        num_samples (int): :math:`S`.

    Shapes:
        - **input:** :math:`(|\mathcal{E}|)`
    """
    num_nodes = len(data.x)
    data = _without_edges(data)
    if num_samples > 1:
        data = _repeat(data, num_samples)
    # a_ij weighs what i takes from j: PyG's message runs from source j to target i.
    data.edge_index = torch.stack([source, target]) + sample * num_nodes
    data.edge_weight = weight
    if _is_divisible(data):
        nodes = _node_slices(data)
        ends = nodes.to(target.device)
        edges = torch.searchsorted(data.edge_index[1].contiguous(), ends).cpu()
        data._slice_dict |= {"edge_index": edges, "edge_weight": edges}
        data._inc_dict |= {"edge_index": nodes[:-1], "edge_weight": torch.zeros_like(nodes[:-1])}
    return data


def check_graphs(data: Data) -> None:
    """Refuses a graph whose ``batch`` and ``ptr`` cannot be right, or do not agree."""
    batch, ptr = data.batch, data.get("ptr")
    if batch is not None:
        check_labels("data.batch", batch, data.x)
    if batch is not None and ptr is not None and not _divides(ptr, batch):
        raise ValueError("data.ptr does not agree with data.batch: leave it out, or batch again")
    if _is_divisible(data):
        labels = data.x.new_zeros(len(data.x), dtype=torch.long) if batch is None else batch
        nodes = _node_slices(data)
        # In a batch of batches, each part has several graphs; no graph has several parts.
        if len(nodes) != data.num_graphs + 1 or not _divides(nodes, labels, exactly=False):
            raise ValueError(
                "data.batch does not agree with the graphs that the batch was made of: batch "
                "again with Batch.from_data_list, or give a Data"
            )


def _divides(slices: Tensor, labels: Tensor, exactly: bool = True) -> bool:
    """Whether the nodes between two slices are those of one label, or of some labels."""
    sizes = slices.to(labels.device).diff()
    if int(sizes.sum()) != len(labels) or bool((sizes < 0).any()):
        return False
    parts = torch.arange(len(sizes), device=labels.device).repeat_interleave(sizes)
    if exactly:
        return torch.equal(parts, labels.to(parts.dtype))
    pairs = torch.stack([parts, labels.to(parts.dtype)]).unique(dim=1)
    return pairs.size(1) == len(labels.unique())


def _is_divisible(data: Data) -> bool:
    """Whether it is a batch that can be divided into its graphs again."""
    return isinstance(data, Batch) and hasattr(data, "_slice_dict")


def _node_slices(data: Any) -> Tensor:
    """First node of each graph of a batch, and their number."""
    slices = data._slice_dict.get("x", data.get("ptr"))
    return torch.as_tensor(slices).cpu()


def _without_edges(data: Data) -> Data:
    """A copy without attributes of the edges: by PyG's rule their name says so, or their length.

    By its length alone, what may as well be one item a node or a graph is none.
    """
    data = copy.copy(data)
    num_edges = data.num_edges
    by_length = num_edges not in (0, data.num_nodes) and num_edges != _count_graphs(data)
    gone = set()
    for key, _ in data:
        named = "edge" in key or key in ("adj", "adj_t")
        if named or (by_length and key not in ("x", "batch", "ptr") and data.is_edge_attr(key)):
            # DataLoader(follow_batch=[key]) adds the two last.
            gone |= {key, f"{key}_batch", f"{key}_ptr"}
    for key in gone & set(data.keys()):
        del data[key]
    if _is_divisible(data):
        # The copy shares both with the original.
        data._slice_dict = {k: v for k, v in data._slice_dict.items() if k not in gone}
        data._inc_dict = {k: v for k, v in data._inc_dict.items() if k not in gone}
    return data


def _count_graphs(data: Data) -> int:
    """How many numbers the graphs take, from 0, or from the lowest below it."""
    batch = data.batch
    if batch is None or batch.numel() == 0:
        return 1
    return int(batch.max() - batch.min().clamp(max=0)) + 1


def _repeat(data: Data, num_samples: int) -> Data:
    """Its graphs ``num_samples`` times; repetition s of graph g is graph s * B + g."""
    if _is_divisible(data):
        followed = [key for key in data._slice_dict if f"{key}_batch" in data]
        repeated = Batch.from_data_list(data.to_data_list() * num_samples, followed)
        left = set(data.keys()) - set(repeated.keys())  # what was added after batching
    else:
        repeated, left = copy.copy(data), set(data.keys())
        repeated.ptr = None
        batch = data.batch
        if batch is None:
            batch = torch.zeros(len(data.x), dtype=torch.long, device=data.x.device)
        graphs = torch.arange(num_samples, device=batch.device) * _count_graphs(data)
        repeated.batch = batch.repeat(num_samples) + graphs.repeat_interleave(len(batch))
    for key in left - {"batch", "ptr"}:
        repeated[key] = _repeat_value(data, key, num_samples)
    return repeated


def _repeat_value(data: Data, key: str, num_samples: int) -> Any:
    value, of_nodes = data[key], data.is_node_attr(key)
    if key == "num_nodes":
        return value * num_samples
    if of_nodes and isinstance(value, list | tuple):
        return value * num_samples
    if of_nodes and isinstance(value, np.ndarray):
        return np.concatenate([value] * num_samples)
    dim, step = data.__cat_dim__(key, value), data.__inc__(key, value)
    if not isinstance(value, Tensor) or value.dim() == 0 or not isinstance(dim, int):
        return value
    if isinstance(step, int) and step == 0:
        return torch.cat([value] * num_samples, dim) if of_nodes else value
    # It holds numbers of nodes, which count on.
    return torch.cat([value + s * step for s in range(num_samples)], dim)
