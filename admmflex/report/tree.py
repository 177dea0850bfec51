"""How the grid hangs together: distances from the feeding bus, and a place for every bus in a picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from admmflex.horizon import Array, IntArray

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True, eq=False)
class Tree:
    """Shortest ways from bus 0, the feeding bus, to all others.

    Args:
        ends: (m, 2) positions of the ends of each branch.
        parent: (n,) next bus towards the feeding bus, -1 there and where nothing leads.
        distance: (n,) along the way, in ``unit``.
        unit: ``km``, or ``branches`` where no line has a length.
    """

    ends: IntArray
    parent: IntArray
    distance: Array
    unit: str

    @classmethod
    def of(cls, data: xr.Dataset) -> Tree | None:
        """The grid of a result; None when it does not tell the ends of its branches."""
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import dijkstra

        if "branch_from_bus" not in data:
            return None
        ends = np.stack([data["branch_from_bus"].to_numpy(), data["branch_to_bus"].to_numpy()], axis=1)
        length = data["branch_length_km"].to_numpy()
        known = bool((length > 0.0).any())
        # a weight of zero would be no edge: transformers and busbars count as a millimetre
        weight = np.where(length > 0.0, length, 1e-6) if known else np.ones(len(ends))
        n = data.sizes["bus"]
        low, high = np.sort(ends, axis=1).T
        shortest: dict[tuple[int, int], float] = {}
        for pair, one in zip(zip(low.tolist(), high.tolist(), strict=True), weight.tolist(), strict=True):
            shortest[pair] = min(one, shortest.get(pair, np.inf))
        rows, columns = np.array(list(shortest), dtype=np.int64).reshape(-1, 2).T
        graph = coo_array((np.array(list(shortest.values())), (rows, columns)), shape=(n, n)).tocsr()
        found: Any = dijkstra(graph, directed=False, indices=0, return_predecessors=True)  # type: ignore[call-overload]
        distance, parent = found
        return cls(ends, np.maximum(parent, -1).astype(np.int64), distance, "km" if known else "branches")

    def places(self) -> Array:
        """(n, 2) a tidy tree: distance to the right, every end of the grid on a line, parents amid their children."""
        n = len(self.parent)
        order = np.argsort(self.distance, kind="stable")
        children: list[list[int]] = [[] for _ in range(n)]
        for bus in order:
            if self.parent[bus] >= 0:
                children[self.parent[bus]].append(int(bus))
        height = np.zeros(n)
        stack, line = [int(order[0])], 0
        while stack:  # depth first, the branch with more behind it last
            bus = stack.pop()
            if not children[bus]:
                height[bus], line = line, line + 1
            stack += children[bus][::-1]
        for bus in order[::-1]:
            if children[bus]:
                height[bus] = np.mean([height[child] for child in children[bus]])
        return np.stack([self.distance, -height], axis=1)


def segments(ends: IntArray, x: Array, y: Array) -> tuple[Array, Array]:
    """Lines between pairs of points, parted by NaN: x and y ``(3 m,)``."""
    x, y = np.asarray(x, np.float32), np.asarray(y, np.float32)  # half the bytes of a page
    gap = np.full(len(ends), np.nan, np.float32)
    return (
        np.stack([x[ends[:, 0]], x[ends[:, 1]], gap], axis=1).ravel(),
        np.stack([y[ends[:, 0]], y[ends[:, 1]], gap], axis=1).ravel(),
    )
