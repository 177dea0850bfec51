"""Islands of the resilience map: when the outage begins, in which season, how much is stored, what is critical."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from itertools import product
from typing import Any, Literal

import numpy as np

from admmflex import scenario
from admmflex.data import study as data
from admmflex.data.spec import ScenarioSpec
from admmflex.data.study import Study
from admmflex.data.trouble_spec import OutageSpec
from admmflex.horizon import Array
from experiments.compare import ROOT

Grid = Literal["five", "rural3"]
HOURS = 24
CRITICAL = (0.3, 0.8)
DAYS = {"winter": "2016-01-21", "spring": "2016-04-15", "summer": "2016-06-30", "autumn": "2016-10-14"}
SUN = {
    "winter": (8.2, 16.6, 0.35),
    "spring": (6.5, 20.2, 0.75),
    "summer": (5.2, 21.7, 0.85),
    "autumn": (7.7, 18.4, 0.55),
}
"""Of the five homes: local sunrise, sunset, and the largest share of the rating."""
DEMAND = {"winter": 1.0, "spring": 0.85, "summer": 0.75, "autumn": 0.9}
LENGTHS = {"hours": [2.0, 6.0, 12.0, 24.0], "probability": [0.5, 0.25, 0.15, 0.1]}
"""How long outages last, for the load not served that is expected."""


@dataclass(frozen=True)
class Case:
    """One island.

    Args:
        start: local hour at which the outage begins.
        storage: capacity and power of the community battery, over those of the scenario file.
        critical: share of every load that is critical.
    """

    grid: Grid
    season: str
    start: int
    storage: float
    critical: float

    @property
    def key(self) -> str:
        return "/".join(str(value) for value in asdict(self).values())


def cases(grid: Grid, *, full: bool) -> list[Case]:
    """All cases of a map; few of them for a first look."""
    small = grid == "five"
    starts = range(0, 24, 3) if full else range(0, 24, 6) if small else (6, 18)
    seasons = tuple(DAYS) if full or small else ("winter", "summer")
    storage = (0.5, 1.0, 2.0) if full or small else (0.5, 2.0)
    found = product(seasons, CRITICAL, storage, starts)
    return [Case(grid, season, start, size, share) for season, share, size, start in found]


def study(case: Case) -> Study:
    """The island of a case: a day in steps of an hour, as one problem, with outages of ``LENGTHS``."""
    source = scenario.load(ROOT / "islanded" / f"{case.grid}.yaml")
    spec = _as_asked(source.spec, case)
    if case.grid == "five":
        spec = _five_homes(spec, case)
    return data.build(spec, source.folder)


def _as_asked(spec: ScenarioSpec, case: Case) -> ScenarioSpec:
    assert spec.island is not None
    assert spec.island.shedding is not None
    begin = f"{DAYS[case.season]} {case.start:02d}:00"
    shedding = spec.island.shedding.model_copy(update={"critical_share": case.critical})
    listed = tuple(
        one.model_copy(update={"battery": one.battery.model_copy(update=_scaled(one.battery, case.storage))})
        if one.name == spec.island.grid_forming and one.battery is not None
        else one
        for one in spec.prosumers.listed
    )
    horizon = {"start": begin, "duration": f"{HOURS}h", "step_minutes": 60.0}
    return spec.model_copy(
        update={
            "horizon": spec.horizon.model_copy(update=horizon),
            "island": spec.island.model_copy(update={"shedding": shedding}),
            "prosumers": spec.prosumers.model_copy(update={"listed": listed}),
            "coordination": spec.coordination.model_copy(update={"method": "central"}),
            "outage": OutageSpec.model_validate({"duration": LENGTHS}),
        }
    )


def _scaled(battery: Any, factor: float) -> dict[str, float]:
    names = ("e_max_kwh", "p_charge_kw", "p_discharge_kw", "e_start_kwh", "e_end_min_kwh", "s_kva")
    return {name: factor * getattr(battery, name) for name in names if getattr(battery, name) is not None}


def _five_homes(spec: ScenarioSpec, case: Case) -> ScenarioSpec:
    """Loads and sun of the season at the hours of the outage, in place of those of one evening.

    A household takes its largest load of the scenario file times

        d (0.35 + 0.25 exp(-((h - 7.5) / 1.5)^2) + 0.65 exp(-((h - 19) / 2.5)^2)),   d of the season

    and the sun gives a sine between sunrise and sunset.
    """
    hour = (case.start + 0.5 + np.arange(HOURS)) % 24.0
    shape = 0.35 + 0.25 * np.exp(-(((hour - 7.5) / 1.5) ** 2)) + 0.65 * np.exp(-(((hour - 19.0) / 2.5) ** 2))
    rise, fall, most = SUN[case.season]
    sun = most * np.clip(np.sin(np.pi * np.clip((hour - rise) / (fall - rise), 0.0, 1.0)), 0.0, None)
    listed = []
    for one in spec.prosumers.listed:
        changed: dict[str, Any] = {}
        if one.load is not None:
            p = DEMAND[case.season] * float(np.max(one.load.p_kw)) * shape
            changed["load"] = one.load.model_copy(update={"p_kw": _rounded(p), "q_kvar": _rounded(0.15 * p)})
        if one.pv is not None:
            changed["pv"] = one.pv.model_copy(update={"profile": _rounded(sun)})
        listed.append(one.model_copy(update=changed))
    return spec.model_copy(update={"prosumers": spec.prosumers.model_copy(update={"listed": tuple(listed)})})


def _rounded(values: Array) -> list[float]:
    return [float(value) for value in np.round(values, 4)]
