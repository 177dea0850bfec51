"""Prosumers whose answers are lost, late or nonsense: ``python -m experiments.reliability.answers [--seeds 5]``.

Every row is the worst of the seeds: rounds against those without trouble, gap to the central optimum, limits in an AC
power flow of the plan.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from admmflex.comm import SerialComm
from admmflex.coordination.admm import Admm
from admmflex.coordination.schemes import Agreed, Sorted, admm_settings
from admmflex.data.study import Study
from admmflex.dso import Dso
from experiments import compare
from experiments.reliability.unreliable import Trouble, Unreliable

DAYS = ("rural1/check", "rural3/day")
ALL, ONE = "all", "one"
CASES: dict[str, tuple[str, Trouble]] = {
    "none": (ALL, Trouble("lost")),
    "10 % lost": (ALL, Trouble("lost", share=0.1)),
    "30 % lost": (ALL, Trouble("lost", share=0.3)),
    "50 % lost": (ALL, Trouble("lost", share=0.5)),
    "one answers 1 in 5": (ONE, Trouble("late", every=5)),
    "one answers 1 in 20": (ONE, Trouble("late", every=20)),
    "one answers NaN": (ONE, Trouble("nan")),
    "one answers infinity": (ONE, Trouble("infinite")),
    "one answers 1e6 kW": (ONE, Trouble("huge")),
    "one answers a cost of NaN": (ONE, Trouble("cost")),
    "one dies": (ONE, Trouble("raises")),
}
LATEST = 12  # question from which on one answers nonsense, at most


@dataclass(frozen=True)
class Row:
    """One day with one seed.

    Args:
        answers: questions; ``asked``: of the home that was asked most often, repeated ones included.
        gap: to the central optimum; ``proven``: whether the run's own lower bound is below its cost.
        over_pu, over_loading: beyond the limits, in an AC power flow of the plan.
        silent: homes held to the plan they told last, and ``kept``: how far the plan is from that [kW].
    """

    day: str
    case: str
    seed: int
    status: str
    rounds: int
    answers: int
    asked: int
    cost_eur: float
    gap: float
    bound_eur: float
    over_pu: float
    over_loading: float
    silent: tuple[str, ...]
    kept: float


def troubles(case: str, homes: int, seed: int) -> dict[int, Trouble]:
    """What is wrong with whom: everybody, or one that is drawn, from a question that is drawn."""
    who, trouble = CASES[case]
    if who == ALL:
        return dict.fromkeys(range(homes), trouble)
    draw = np.random.default_rng([homes, seed])
    return {int(draw.integers(homes)): replace(trouble, first=int(draw.integers(2, LATEST + 1)))}


def coordinate(name: str, day: Study, case: str, seed: int, best_eur: float) -> Row:
    """Agree on a day by prices with homes that are in trouble."""
    ordered, comm = Sorted.of(day, SerialComm()), SerialComm()
    plain = ordered.community(day.horizon)
    n = len(ordered.order)
    unreliable = Unreliable(plain.population, troubles(case, n, seed), ordered.order, seed)
    community = replace(plain, population=unreliable)
    dso = Dso(day.network, day.limits, ordered.buses, day.horizon.steps)
    admm = Admm(community, dso, comm, admm_settings(day.settings))
    found, trust = admm.run(), admm.exchange.trust
    y = np.empty_like(found.plan.y)
    y[:, ordered.order] = found.plan.y
    cost = float(plain.population.evaluate_cost(found.plan.y, found.plan.states).sum())
    over = compare.excess(day, Agreed(y, np.zeros((3, 0, day.horizon.steps)), cost))
    kept = 0.0
    if trust.held.any() and trust.last is not None:
        kept = float(np.abs(found.plan.y - trust.last.y)[:, trust.held].max())
    bound = np.nan if found.lower_bound is None else found.lower_bound
    silent = tuple(trust.name(i) for i in np.flatnonzero(trust.held).tolist())
    asked = int(unreliable.asked.max())
    gap = compare.gap(cost, best_eur)
    return Row(
        name, case, seed, found.status, found.rounds, found.answers, asked, cost, gap, bound, *over, silent, kept
    )


def measure(name: str, cases: Sequence[str], seeds: Sequence[int]) -> list[Row]:
    """All cases of a day; the central optimum is solved once."""
    day = compare.study(name)
    best = compare.central(day)[0].cost
    return [
        coordinate(name, day, case, seed, best) for case in cases for seed in (seeds[:1] if case == "none" else seeds)
    ]


def table(rows: Sequence[Row]) -> Table:
    """The worst of the seeds of every case."""
    shown = Table("", "rounds", "x", "asked", "gap, %", "over V", "over I", "held", box=box.SIMPLE_HEAD, pad_edge=False)
    for day in dict.fromkeys(row.day for row in rows):
        ours = [row for row in rows if row.day == day]
        usual = next(row.rounds for row in ours if row.case == "none")
        shown.add_section()
        shown.add_row(f"[bold]{day}")
        for case in dict.fromkeys(row.case for row in ours):
            some = [row for row in ours if row.case == case]
            rounds, held = max(row.rounds for row in some), sum(len(row.silent) for row in some)
            bad = [row.status for row in some if row.status != "optimal"]
            shown.add_row(
                case, str(rounds), f"{rounds / usual:.2f}", str(max(row.asked for row in some)),
                f"{100 * max(row.gap for row in some):.3f}", f"{max(row.over_pu for row in some):.0e}",
                f"{max(row.over_loading for row in some):.0e}", ", ".join([f"{held}/{len(some)}", *bad]),
            )  # fmt: skip
    return shown


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the cases, print the table."""
    parser = argparse.ArgumentParser(prog="python -m experiments.reliability.answers", description=__doc__)
    parser.add_argument("--days", nargs="+", default=DAYS)
    parser.add_argument("--cases", nargs="+", default=list(CASES), choices=list(CASES))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="also write every row to this file")
    chosen = parser.parse_args(arguments)
    cases = list(dict.fromkeys(["none", *chosen.cases]))
    rows = [row for name in chosen.days for row in measure(name, cases, range(chosen.seeds))]
    Console(width=88).print(table(rows))
    if chosen.json is not None:
        chosen.json.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
