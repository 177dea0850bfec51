"""A prosumer: assets behind one meter, and the tariff of that meter."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from admmflex.assets.flow import Asset, Relaxable
from admmflex.assets.shortfall import Shortfall
from admmflex.errors import Fault
from admmflex.horizon import Array, Horizon


@dataclass(frozen=True)
class Prosumer:
    """Assets behind one meter at a bus of the network.

    p = sum of the assets' p, q likewise;   cost = sum_t dt[t] (imp[t] [-p[t]]+ - exp[t] [p[t]]+) + asset costs

    Args:
        name: unique in a study.
        bus: index of the bus in the pandapower network.
        assets: at least one.
        import_price, export_price: ``(K,)`` [EUR/kWh], import >= export in every step.
    """

    name: str
    bus: int
    assets: tuple[Asset, ...]
    import_price: Array
    export_price: Array

    def faults(self, horizon: Horizon) -> list[Fault]:
        """Everything that is wrong with the assets and the tariff."""
        found = [fault for asset in self.assets for fault in asset.faults(horizon)]
        if not self.assets:
            found.append(
                Fault(f"prosumer {self.name!r}", "no assets", "at least one", "add a load or remove the prosumer")
            )
        crossing = self.import_price < self.export_price
        if crossing.any():
            step = int(crossing.argmax())
            found.append(
                Fault(
                    f"prosumer {self.name!r}",
                    f"import price {self.import_price[step]:g} below export price {self.export_price[step]:g} EUR/kWh "
                    f"at {horizon.label(step)}",
                    "import >= export in every step",
                    "correct the tariff: buying and selling at once would earn money without limit",
                )
            )
        return found


def shortfalls(prosumers: Iterable[Any], horizon: Horizon) -> list[tuple[Prosumer, Shortfall]]:
    """What the devices of built-in prosumers lack whatever the plan, with their owners."""
    return [
        (prosumer, one)
        for prosumer in prosumers
        if isinstance(prosumer, Prosumer)
        for asset in prosumer.assets
        if isinstance(asset, Relaxable)
        for one in asset.shortfalls(horizon)
    ]
