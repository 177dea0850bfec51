"""What a device cannot be given by any plan, and what that costs where ``relax`` accepts it."""

from __future__ import annotations

from dataclasses import dataclass

from admmflex.assets.checks import number_faults
from admmflex.errors import Fault
from admmflex.horizon import Horizon


@dataclass(frozen=True)
class Shortfall:
    """Energy that is missing, or too much, from the beginning of step ``first`` to the end of step ``last``.

    Args:
        element: the device, as in faults.
        what: in words, with the depth at the worst moment.
        kwh: energy that another source would have had to bring, or to take away, for the band to hold [kWh].
        eur: its price; a constant of the plan, not part of its objective.
    """

    element: str
    what: str
    first: int
    last: int
    kwh: float
    eur: float

    def text(self, horizon: Horizon) -> str:
        """One line for a user."""
        begin, end = horizon.label(self.first), horizon.clock(float(horizon.dt_h[: self.last + 1].sum()))
        return f"{self.element}: {self.what}, {begin} to {end}; {self.kwh:.4g} kWh at {self.eur:.4g} EUR"


def relax_faults(element: str, relax: bool, shortfall_price: float) -> list[Fault]:
    """A price of what is not served must be there when something may stay unserved."""
    faults = number_faults(element, "shortfall_price", shortfall_price, low=0.0)
    if relax and not faults and shortfall_price == 0.0:
        remedy = "give the price of energy that is not served, or set relax: false"
        faults.append(Fault(element, "relax without a shortfall_price", "above 0 EUR/kWh", remedy))
    return faults
