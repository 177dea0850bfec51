"""Electrical networks: frozen per-unit arrays, AC power flow of many steps, balanced or by phases, exact
sensitivities, limits as rows.

Knows nothing of prosumers. Powers are injections, positive into the grid; arrays are time-last ``(n, K)``.
"""

from grid.areas import Area, Division, divide
from grid.case import Case, read_case
from grid.connection import Connection, drawn_kw
from grid.elements import Elements, Profiles
from grid.errors import Fault, InputError
from grid.island import find_branches, island
from grid.limits import BRANCH, SLACK, V_HIGH, V_LOW, Functional, Limits
from grid.linear import Linearisation, linearise
from grid.network import Network
from grid.powerflow import PowerFlow, power_flow
from grid.read import read
from grid.read_unbalanced import read_three_phase
from grid.three_phase_case import ThreePhaseCase
from grid.unbalanced import UnbalancedFlow, unbalanced_flow
from grid.unbalanced_limits import UnbalancedLimits
from grid.unbalanced_linear import UnbalancedLinearisation, linearise_unbalanced
from grid.unbalanced_network import UnbalancedNetwork

__all__ = [
    "BRANCH",
    "SLACK",
    "V_HIGH",
    "V_LOW",
    "Area",
    "Case",
    "Connection",
    "Division",
    "Elements",
    "Fault",
    "Functional",
    "InputError",
    "Limits",
    "Linearisation",
    "Network",
    "PowerFlow",
    "Profiles",
    "ThreePhaseCase",
    "UnbalancedFlow",
    "UnbalancedLimits",
    "UnbalancedLinearisation",
    "UnbalancedNetwork",
    "divide",
    "drawn_kw",
    "find_branches",
    "island",
    "linearise",
    "linearise_unbalanced",
    "power_flow",
    "read",
    "read_case",
    "read_three_phase",
    "unbalanced_flow",
]
