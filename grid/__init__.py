"""Electrical networks: frozen per-unit arrays, AC power flow of many steps, exact sensitivities, limits as rows.

Knows nothing of prosumers. Powers are injections, positive into the grid; arrays are time-last ``(n, K)``.
"""

from grid.case import Case, read_case
from grid.elements import Elements, Profiles
from grid.errors import Fault, InputError
from grid.limits import BRANCH, V_HIGH, V_LOW, Functional, Limits
from grid.linear import Linearisation, linearise
from grid.network import Network
from grid.powerflow import PowerFlow, power_flow
from grid.read import read

__all__ = [
    "BRANCH",
    "V_HIGH",
    "V_LOW",
    "Case",
    "Elements",
    "Fault",
    "Functional",
    "InputError",
    "Limits",
    "Linearisation",
    "Network",
    "PowerFlow",
    "Profiles",
    "linearise",
    "power_flow",
    "read",
    "read_case",
]
