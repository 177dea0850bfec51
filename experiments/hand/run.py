"""The five homes by prices and centrally, beside the numbers of the README: ``python -m experiments.hand.run``."""

from __future__ import annotations

import numpy as np
from rich.console import Console
from rich.table import Table

import grid
from admmflex.coordination.schemes import Outcome
from admmflex.data.study import Study
from admmflex.horizon import Array
from experiments.compare import by_price, central, show, study

DAY = "hand/day"
NOON = 1
PIECE = 0.0002  # pu of voltage for each kW that passes a piece of cable


def voltages(power: Array) -> Array:
    """Voltage at every home [pu] from powers (homes,) [kW]: sweeps along the feeder, no power flow package."""
    v = np.ones(len(power))
    for _ in range(100):
        current = np.cumsum((power / v)[::-1])[::-1]
        v = 1.0 + PIECE * np.cumsum(current)
    return v


def effects(power: Array, step: float = 1e-4) -> Array:
    """Effect of every home on the last voltage [pu/kW], by central differences of ``voltages``."""
    moves = step * np.eye(len(power))
    return np.array([voltages(power + move)[-1] - voltages(power - move)[-1] for move in moves]) / (2 * step)


def main() -> None:
    """Print the comparison, and noon home by home: by prices, centrally, by hand."""
    day = study(DAY)
    outcome, _ = by_price(day)
    optimum, _ = central(day)
    show([DAY])
    Console().print(_noon(day, outcome, optimum.y[0, :, NOON], optimum.price[0][:, NOON]))


def _noon(day: Study, outcome: Outcome, best: Array, best_price: Array) -> Table:
    """Powers, voltages and prices at noon; what is "by hand" is worked out from the central powers."""
    at = day.network.positions([one.bus for one in day.prosumers])
    power = outcome.plan.y[0, :, NOON]
    injection = np.zeros((day.network.n, 1))
    injection[at, 0] = power
    v = np.abs(grid.power_flow(day.network, injection, 0 * injection).require().v[at, 0])
    effect = effects(best)
    rows = [
        ("p by prices, kW", power, 4),
        ("p central, kW", best, 4),
        ("v in the AC power flow, pu", v, 5),
        ("v by hand, pu", voltages(best), 5),
        ("effect by hand, mpu/kW", 1e3 * effect, 4),
        ("price, EUR/kWh", outcome.price[0, at, NOON], 4),
        ("price central", best_price[at], 4),
        ("price by hand", -0.08 * effect / effect[-1], 4),
    ]
    table = Table("noon", *(one.name for one in day.prosumers))
    for name, values, digits in rows:
        table.add_row(name, *(f"{value:.{digits}f}" for value in values))
    return table


if __name__ == "__main__":
    main()
