"""Radial feeders from OpenDSS scripts.

Read: Circuit, Line (sequences, matrices, Linecode, switch), Linecode, Transformer (two windings, three phases, delta or
wye at the upper end, wye at the lower), one-phase Reactors between a neutral (node 4) and earth, and Loads, Generators
and PVSystems of constant power between phases and neutral. Everything else that carries current is a fault; what has
no effect on a snapshot (shapes, monitors, meters) is left out and said in the notes.
"""

from grid.dss.reader import read_dss

__all__ = ["read_dss"]
