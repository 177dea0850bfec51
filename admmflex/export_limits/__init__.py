"""Customer export limits on unbalanced three-phase feeders: what customers may feed in, so that no limit is broken."""

from admmflex.export_limits.customers import Customers, customers_of
from admmflex.export_limits.scenarios import Scenarios
from admmflex.export_limits.search import UniformLimits, pv_power, uniform_limits

__all__ = ["Customers", "Scenarios", "UniformLimits", "customers_of", "pv_power", "uniform_limits"]
