"""The published program against its counterparts and the exact limit: ``python -m experiments.export_limits.accuracy``.

First table, as in the paper: highest voltage of each phase in the binding step of the sunniest scenario; OpenDSS with
constant powers, and with its default, by which loads become impedances above 1.05 pu, feed-in included. Second: how
the limit of some binding steps moves with the angle of the cuts, the kind of cuts and the point of expansion.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from admmflex.errors import SolverError
from admmflex.export_limits import uniform_limits
from admmflex.export_limits.convex import solve_cone, solve_nonlinear
from admmflex.export_limits.cuts import Cuts
from admmflex.export_limits.milp import program
from admmflex.export_limits.powers import Day
from admmflex.export_limits.verify import Simulator
from admmflex.horizon import Array
from experiments.export_limits.feeders import RATING_KW, Feeder, feeder
from experiments.export_limits.study import generator
from grid.arrays import ComplexArray

CUTS = {
    "d from the power flow": Cuts(),
    "d = 3 deg": Cuts(deviation_deg=3.0),
    "d = 5 deg": Cuts(deviation_deg=5.0),
    "d = 10 deg": Cuts(deviation_deg=10.0),
    "safe, d from the power flow": Cuts(safe=True),
}

DEFAULT = "OpenDSS, default vmaxpu"
COLUMNS = ("phase", "MILP", "cone", "NLP", "OpenDSS", DEFAULT)


def binding(own: Feeder, count: int, seed: int) -> tuple[list[Day], list[float]]:
    """The binding step with the most sun of each of some scenarios as a day of one step, and its exact limit."""
    scenarios = generator(own, seed).scenarios(count)
    xi = uniform_limits(own.customers, scenarios, own.limits).xi
    days, exact = [], []
    for s in range(count):
        sun = np.where(xi[s] < 1.0, scenarios.avail[s].sum(axis=0), -1.0)
        k = int(sun.argmax())
        if sun[k] > 0.0:
            days.append(Day.of(own.customers, scenarios, s, slice(k, k + 1)))
            exact.append(float(xi[s, k]))
    return days, exact


def relaxed_point(own: Feeder, day: Day) -> Array:
    """Powers (n, 1) of the relaxed nonlinear program, the published point of expansion."""
    return solve_nonlinear(day, own.limits, 0).pv_kw[:, None]


def voltages(own: Feeder, day: Day) -> list[dict[str, Any]]:
    """Highest voltage of each phase: program, cone program, nonlinear program, OpenDSS with the program's powers."""
    model = program(day, own.limits, relaxed_point(own, day))
    answer = model.solve()
    limited = answer.limited[:, 0]
    cone, nonlinear = solve_cone(model, 0, limited), solve_nonlinear(day, own.limits, 0, limited)
    if cone is None:
        raise SolverError("the cone program has no solution where the mixed-integer program has one")
    who = own.customers
    simulator, powers = Simulator(own.script, who), (who.by_bus(answer.pv_kw - day.load_p), who.by_bus(-day.load_q))
    constant, _, _ = simulator.flow(*powers)
    simulator.command("BatchEdit Load..* vminpu=0.95 vmaxpu=1.05")
    default, _, _ = simulator.flow(*powers)
    at = model.point.reduction.slot
    columns = {
        "MILP": _highest(answer.v[at, :, 0]),
        "cone": _highest(cone.v[at]),
        "NLP": _highest(nonlinear.flow.v_swept[at, :, 0]),
        "OpenDSS": np.nanmax(constant[..., 0], axis=0),
        DEFAULT: np.nanmax(default[..., 0], axis=0),
    }
    limits = {"MILP": answer.xi[0], "cone": cone.xi, "NLP": nonlinear.xi}
    rows = [{"phase": "abc"[f], **{name: float(v[f]) for name, v in columns.items()}} for f in range(3)]
    return [*rows, {"phase": "limit", **{name: float(xi) for name, xi in limits.items()}}]


def _highest(v: ComplexArray) -> Array:
    u = v[:, :3] - v[:, 3:] if v.shape[1] == 4 else v
    highest: Array = np.abs(u).max(axis=0)
    return highest


def variations(own: Feeder, days: Sequence[Day], exact: Sequence[float]) -> list[dict[str, Any]]:
    """Limit of the program less the exact one, over some steps, and what its powers do in the power flow."""
    points = {
        "relaxed nonlinear program, as published": lambda day, xi: relaxed_point(own, day),
        "exact limit": lambda day, xi: day.pv(xi),
        "no export": lambda day, xi: day.pv(0.0),
        "no limit": lambda day, xi: day.avail,
    }
    cases = [(p, c) for p in points for c in (CUTS if p == "exact limit" else ("d from the power flow",))]
    cases += [("relaxed, then its own answer", "d from the power flow")]
    rows = []
    for point, cut in cases:
        apart, highest, start = [], [], time.perf_counter()
        for day, xi in zip(days, exact, strict=True):
            again = point not in points
            pv = relaxed_point(own, day) if again else points[point](day, xi)
            answer = program(day, own.limits, pv, CUTS[cut]).solve()
            if again:
                answer = program(day, own.limits, answer.pv_kw, CUTS[cut]).solve()
            apart.append(float(answer.xi[0]) - xi)
            highest.append(float(own.limits.worst(day.flow(answer.pv_kw)).excess[0]))
        rows.append({"point": point, "cuts": cut, "least": min(apart), "most": max(apart), "excess": max(highest),
                     "seconds": (time.perf_counter() - start) / len(days)})  # fmt: skip
    return rows


def main(arguments: Sequence[str] | None = None) -> None:
    """Compute and print."""
    parser = argparse.ArgumentParser(prog="python -m experiments.export_limits.accuracy", description=__doc__)
    parser.add_argument("feeder", nargs="?", default="european", choices=list(RATING_KW))
    parser.add_argument("--steps", type=int, default=6, help="scenarios, of which the sunniest binding step is taken")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, help="also write the rows to this file")
    chosen = parser.parse_args(arguments)
    console = Console()
    with tempfile.TemporaryDirectory() as folder, console.status("running"):
        own = feeder(chosen.feeder, Path(folder))
        days, exact = binding(own, chosen.steps, chosen.seed)
        sunniest = max(range(len(days)), key=lambda i: float(days[i].avail.sum()))
        first, second = voltages(own, days[sunniest]), variations(own, days, exact)
    table = Table(*COLUMNS, title=f"exact limit {exact[sunniest]:.6f}")
    for row in first:
        table.add_row(row["phase"], *(f"{row[name]:.6f}" if name in row else "" for name in COLUMNS[1:]))
    console.print(table)
    table = Table("point of expansion", "cuts", "limit - exact", "excess", "s", title=f"{len(days)} binding steps")
    for row in second:
        span = f"{row['least']:+.5f} to {row['most']:+.5f}"
        table.add_row(row["point"], row["cuts"], span, f"{row['excess']:.1e}", f"{row['seconds']:.1f}")
    console.print(table)
    if chosen.json is not None:
        text = json.dumps({"voltages": first, "exact": exact, "variations": second}, indent=2)
        chosen.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
