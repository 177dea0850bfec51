"""The price of robustness: what margins against more and more compromised batteries cost, and what attacks do.

``python -m experiments.compromised.run``; ``--attacks 1000`` for a quick look.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from admmflex.coordination.compromised import secured
from admmflex.data.study import Study
from admmflex.horizon import Array
from admmflex.progress import bar
from admmflex.studies.attacks import Attacked, attack
from experiments.compare import by_price, central, gap, study
from experiments.compromised.figure import draw

DAY = "compromised/rural3"
OUT = Path("results/compromised")
BUDGETS = (0, 1, 2, 3, 5, 7, 10, 14)


@dataclass(frozen=True)
class Robust:
    """One budget.

    Args:
        cost_eur, agreed_eur: of the central optimum with margins, and of the plan agreed by prices.
        protected, bare: the attacks on the plan agreed by prices, and on the optimum without margins.
    """

    budget: int
    cost_eur: float
    agreed_eur: float
    status: str
    answers: int
    protected: Attacked
    bare: Attacked


def with_budget(day: Study, budget: int) -> Study:
    """A secured study with another budget."""
    assert day.threat is not None
    return replace(day, threat=replace(day.threat, budget=budget))


def discs(day: Study, radius: float) -> Study:
    """A secured study in which suspects leave their plan by up to ``radius`` ratings in any direction."""
    assert day.threat is not None
    one = day.threat
    far = radius * one.s_kva[:, None] * np.ones_like(one.low)
    plain = replace(one, low=-far, high=far, s_kva=radius * one.s_kva, plan=np.zeros_like(one.plan))
    return replace(day, threat=plain)


def robust(day: Study, budget: int, free: Array, attacks: int) -> Robust:
    """A budget, with its plan and the powers ``free`` of the optimum without margins under attack."""
    mine = with_budget(day, budget)
    optimum, _ = central(mine)
    agreed, _ = by_price(mine)
    with bar(f"{budget} at once, attacks on the plan") as told:
        on_plan = attack(mine, agreed.plan.y, attacks, seed=budget, observe=told)
    with bar(f"{budget} at once, attacks without margins") as told:
        on_free = attack(mine, free, attacks, seed=budget, observe=told)
    return Robust(
        budget,
        optimum.cost,
        agreed.plan.cost,
        agreed.status,
        agreed.answers,
        on_plan,
        on_free,
    )


def main() -> None:
    """Print the table, and write ``results/compromised/robust.json`` and ``robust.html``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--attacks", type=int, default=10_000)
    attacks = parser.parse_args().attacks
    trusted = study(DAY)
    nominal = central(replace(trusted, suspects=None))[0].cost
    day = secured(trusted)
    free = central(with_budget(day, 0))[0].y
    console = Console()
    rows = [robust(day, budget, free, attacks) for budget in BUDGETS]
    console.print(_table(rows))
    assert day.threat is not None
    wear = day.threat.plan_eur
    console.print(f"everybody trusted: {nominal:.3f} EUR; wear of the suspects' plans, not in the table: {wear:.3f}")
    others = {}
    for name, radius in (("disc about the plan", 1.0), ("diameter", 2.0)):
        others[name] = [central(discs(with_budget(day, budget), radius))[0].cost for budget in (1, 3)]
        console.print(f"margins of the {name}, budget 1 and 3: {others[name][0]:.3f}, {others[name][1]:.3f} EUR")
    OUT.mkdir(parents=True, exist_ok=True)
    found = {"trusted_eur": nominal, "plan_eur": wear, "discs": others, "rows": [asdict(row) for row in rows]}
    page = draw(found).to_html(include_plotlyjs=True, config={"displaylogo": False})
    (OUT / "robust.html").write_text(page, encoding="utf-8")
    (OUT / "robust.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def _table(rows: list[Robust]) -> Table:
    title = f"{rows[0].protected.attacks} attacks on each plan; over V in 1e-3 pu, over I in %"
    names = ("at once", "EUR", "more", "by prices", "gap", "broken", "over V", "over I", "bare")
    table = Table(*names, box=box.SIMPLE_HEAD, pad_edge=False)
    table.title = title
    for row in rows:
        kept = row.protected
        table.add_row(
            str(row.budget),
            f"{row.cost_eur:.2f}",
            f"{row.cost_eur - rows[0].cost_eur:.2f}",
            f"{row.agreed_eur:.2f}" if row.status == "optimal" else row.status,
            f"{100 * gap(row.agreed_eur, row.cost_eur):.3f} %",
            str(kept.broken),
            f"{1e3 * kept.voltage_pu:+.3f}",
            f"{100 * kept.loading:+.2f}",
            str(row.bare.broken),
        )
    return table


if __name__ == "__main__":
    main()
