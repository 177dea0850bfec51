"""Order of buses: slack first, and parents before children where the grid is a tree."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components, depth_first_order

from grid.arrays import BoolArray, IntArray


def _neighbours(n: int, from_bus: IntArray, to_bus: IntArray) -> sp.csr_array:
    """Symmetric adjacency without parallel branches and loops, indices sorted."""
    apart = from_bus != to_bus
    ends = np.concatenate([from_bus[apart], to_bus[apart]]), np.concatenate([to_bus[apart], from_bus[apart]])
    graph = sp.coo_array((np.ones(len(ends[0])), ends), shape=(n, n)).tocsr()
    graph.sum_duplicates()
    graph.data[:] = 1.0
    return graph


def preorder(n: int, from_bus: IntArray, to_bus: IntArray, root: int) -> IntArray:
    """Buses reached from the root in depth-first preorder, shorter than n when some are cut off."""
    graph = _neighbours(n, from_bus, to_bus)
    return depth_first_order(graph, root, directed=False, return_predecessors=False).astype(np.int64)


def parents(n: int, from_bus: IntArray, to_bus: IntArray) -> IntArray | None:
    """Parent of every bus of a tree whose root is bus 0, -1 at the root; None when the grid has a loop.

    Parallel branches between the same two buses are no loop.
    """
    graph = _neighbours(n, from_bus, to_bus)
    if graph.nnz != 2 * (n - 1):
        return None
    order, before = depth_first_order(graph, 0, directed=False, return_predecessors=True)
    if len(order) != n:
        return None
    parent = before.astype(np.int64)
    parent[0] = -1
    return parent


def feeders(n: int, from_bus: IntArray, to_bus: IntArray) -> IntArray:
    """Label of the outgoing feeder each bus hangs on, -1 on the trunk.

    The trunk runs from bus 0 through buses without a choice (the transformer) to the first busbar where the grid
    parts; a feeder is what stays connected once the trunk is removed.
    """
    graph = _neighbours(n, from_bus, to_bus)
    trunk: BoolArray = np.zeros(n, dtype=np.bool_)
    bus = 0
    while True:
        trunk[bus] = True
        onward = [int(other) for other in graph.indices[graph.indptr[bus] : graph.indptr[bus + 1]] if not trunk[other]]
        if len(onward) != 1:
            break
        bus = onward[0]
    rest = np.flatnonzero(~trunk)
    label = np.full(n, -1, dtype=np.int64)
    if len(rest):
        label[rest] = connected_components(graph[rest][:, rest], directed=False)[1]
    return label
