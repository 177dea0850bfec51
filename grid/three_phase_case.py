"""A three-phase feeder with what stands in its file: plain data, injections positive."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from grid.arrays import Array, IntArray
from grid.unbalanced_network import UnbalancedNetwork


@dataclass(frozen=True, eq=False)
class ThreePhaseCase:
    """A feeder and the E loads and generators of its file.

    Args:
        network: n buses.
        names: (E,) as in the file.
        kinds: (E,) "load", "asymmetric_load", "sgen", "pvsystem", ...
        bus: (E,) position of each element.
        p_kw, q_kvar: (E, 3) injections per phase, positive into the grid.
    """

    network: UnbalancedNetwork
    names: tuple[str, ...]
    kinds: tuple[str, ...]
    bus: IntArray
    p_kw: Array
    q_kvar: Array

    def bus_sums(self) -> tuple[IntArray, Array, Array]:
        """Buses with elements (L,) and the sums of their injections (L, 3, 1), as ``unbalanced_flow`` takes them."""
        at, row = np.unique(self.bus, return_inverse=True)
        p, q = np.zeros((len(at), 3, 1)), np.zeros((len(at), 3, 1))
        np.add.at(p, row, self.p_kw[:, :, None])
        np.add.at(q, row, self.q_kvar[:, :, None])
        return at, p, q
