"""Customer export limits on unbalanced three-phase feeders: what customers may feed in, so that no limit is broken."""

from admmflex.export_limits.customers import Customers, customers_of
from admmflex.export_limits.envelopes import RULES, Envelope, export_limits, operating_envelope
from admmflex.export_limits.fairness import Shares, gini, shares
from admmflex.export_limits.inverter import EN_50549, Inverter
from admmflex.export_limits.robust import Frequency, RobustLimits, broken, convergence, frequency, robust_limits
from admmflex.export_limits.scenarios import Scenarios
from admmflex.export_limits.search import UniformLimits, pv_power, uniform_limits

__all__ = [
    "EN_50549",
    "RULES",
    "Customers",
    "Envelope",
    "Frequency",
    "Inverter",
    "RobustLimits",
    "Scenarios",
    "Shares",
    "UniformLimits",
    "broken",
    "convergence",
    "customers_of",
    "export_limits",
    "frequency",
    "gini",
    "operating_envelope",
    "pv_power",
    "robust_limits",
    "shares",
    "uniform_limits",
]
