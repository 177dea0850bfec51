"""Homes that do not do what they told: which margin covers them, and what it costs.

``python -m experiments.reliability.lies``: a number of homes at once, whichever they are, are up to 2 kW away from what
was agreed, at the meter, in any step. A plan with a margin is attacked by an AC power flow, and so is one without.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from admmflex.data.study import Study
from admmflex.prosumers.threat import Threat
from admmflex.studies.attacks import Attacked, attack
from experiments.compare import by_price, study

DAYS = ("rural1/check",)
LIE_KW = 2.0


@dataclass(frozen=True)
class Covered:
    """A day on which so many homes at once may lie.

    Args:
        cost_eur, trusting_eur: of the plan with the margin, and of the one without.
        covered, bare: the lies on each.
    """

    day: str
    at_once: int
    status: str
    cost_eur: float
    trusting_eur: float
    covered: Attacked
    bare: Attacked


def doubted(day: Study, at_once: int, kw: float = LIE_KW) -> Study:
    """A day on which all homes are coordinated, and some of them may be off by ``kw`` at the meter."""
    homes, steps = len(day.prosumers), day.horizon.steps
    away = np.full((homes, steps), kw)
    names = tuple(one.name for one in day.prosumers)
    bus = day.network.positions([one.bus for one in day.prosumers])
    return replace(day, threat=Threat(names, bus, -away, away, np.zeros(homes), np.zeros((2, homes, steps)), at_once))


def measure(name: str, at_once: int, attacks: int) -> Covered:
    """Agree with and without the margin, and attack both plans."""
    day = study(name)
    mine = doubted(day, at_once)
    plan, _ = by_price(mine)
    trusting, _ = by_price(day)
    covered, bare = (attack(mine, one.plan.y, attacks, seed=at_once) for one in (plan, trusting))
    return Covered(name, at_once, plan.status, plan.plan.cost, trusting.plan.cost, covered, bare)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m experiments.reliability.lies", description=__doc__)
    parser.add_argument("--attacks", type=int, default=1000)
    parser.add_argument("--at-once", type=int, nargs="+", default=[1])
    chosen = parser.parse_args(arguments)
    shown = Table("day", "liars", "EUR", "more", "broken", "over V", "over I", "bare", "over V", "over I")
    shown.box = box.SIMPLE_HEAD
    for name in DAYS:
        for at_once in chosen.at_once:
            row = measure(name, at_once, chosen.attacks)
            results = [
                text
                for one in (row.covered, row.bare)
                for text in (str(one.broken), f"{one.voltage_pu:+.1e}", f"{one.loading:+.1e}")
            ]
            more = f"{row.cost_eur - row.trusting_eur:+.3f}"
            shown.add_row(name, str(at_once), f"{row.cost_eur:.3f}", more, *results)
    Console(width=110).print(shown)


if __name__ == "__main__":
    main()
