"""Random scenarios: damaged ones end with faults or a plan, small random days cost what the central optimum costs."""

from __future__ import annotations

import copy
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandapower as pp
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

import admmflex
from admmflex.data import document
from admmflex.data.spec import ScenarioSpec
from admmflex.data.study import build
from admmflex.data.validation import check
from admmflex.errors import InputError
from tests.fuzz import examples, odd, random_net

SEED = st.integers(0, 2**32 - 1)
EXPERIMENTS = Path(__file__).parents[2] / "experiments"
CUSTOMERS = Path(__file__).parents[1] / "data" / "customers" / "day.yaml"
BASES = [EXPERIMENTS / "hand" / "day.yaml", CUSTOMERS, EXPERIMENTS / "flex_charts" / "five.yaml"]


def places(data: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every key and item below a value."""
    inner = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    return [place for key, value in inner for place in [(*at, key), *places(value, (*at, key))]]


def damage(data: Any, rng: np.random.Generator) -> None:
    """Replace, remove, rename, double or move one entry."""
    found = places(data)
    *above, key = found[int(rng.integers(len(found)))]
    parent = data
    for part in above:
        parent = parent[part]
    kind = int(rng.integers(5))
    if kind == 0:
        del parent[key]
    elif kind == 1 and isinstance(parent, dict):
        parent[f"{key}x"] = parent.pop(key)
    elif kind == 2 and isinstance(parent, list):
        parent.append(copy.deepcopy(parent[key]))
    elif kind == 3 and isinstance(parent[key], int | float) and not isinstance(parent[key], bool):
        parent[key] = float(parent[key]) * float(rng.choice([-1.0, 0.0, 1e-6, 1e6, 1e12]))
    else:
        parent[key] = odd(rng)


@examples(60)
@given(seed=SEED)
def test_damaged_scenarios_build_or_are_refused(seed: int) -> None:
    """One to three entries are wrong: every fault is declared, or the day is one that could be meant."""
    rng = np.random.default_rng(seed)
    base = BASES[int(rng.integers(len(BASES)))]
    data = yaml.safe_load(yaml.safe_dump(document.read(base).data))
    for _ in range(int(rng.integers(1, 4))):
        damage(data, rng)
    file = base.with_name("day.yaml")
    text = yaml.safe_dump(data, allow_unicode=True)
    with suppress(InputError):
        source = document.parse(text, file)
        spec, faults = check(source)
        if spec is None:
            raise InputError(faults)
        study = build(spec, file.parent, faults)
        assert study.horizon.steps > 0
        assert all(np.isfinite(one.import_price).all() for one in study.prosumers)


def day(seed: int, folder: Path) -> dict[str, Any]:
    """A random day of up to five homes with load, PV and battery on a small random grid."""
    rng = np.random.default_rng(seed)
    net = random_net(seed, 6)
    net.load.drop(net.load.index, inplace=True)
    net.line.length_km = np.minimum(net.line.length_km, 0.15)
    pp.to_json(net, str(folder / "grid.json"))
    steps, homes = int(rng.integers(1, 4)), []
    buses = [int(bus) for bus in net.bus.index[net.bus.vn_kv == 0.4]][1:6]
    for bus in buses:
        home: dict[str, Any] = {"name": f"home {bus}", "bus": bus}
        home["load"] = {"p_kw": rng.uniform(0.0, 4.0, steps).round(3).tolist(), "q_kvar": float(rng.uniform(0.0, 0.5))}
        if rng.random() < 0.8:
            sun = rng.uniform(0.0, 20.0, steps).round(3).tolist()
            home["pv"] = {"kwp": 25.0, "avail_kw": sun, "reactive": str(rng.choice(["none", "box"])), "q_cost": 0.002}
        if rng.random() < 0.6:
            size = {"e_max_kwh": 6.0, "p_charge_kw": 3.0, "p_discharge_kw": 3.0, "e_start_kwh": 2.0}
            home["battery"] = size | {
                "wear": float(rng.uniform(0.005, 0.05)),
                "e_end_min_kwh": float(rng.choice([0, 2])),
            }
        homes.append(home)
    return {
        "name": "random",
        "network": "grid.json",
        "horizon": {"start": "2016-06-01 11:00", "steps": steps, "step_minutes": 60},
        "tariff": {"import": float(rng.uniform(0.2, 0.4)), "export": float(rng.uniform(0.0, 0.15))},
        "limits": {"v_min": 0.94, "v_max": 1.06},
        "prosumers": {"list": homes},
    }


@examples(4)
@given(seed=SEED)
def test_random_days_cost_what_the_optimum_costs(seed: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Prices find what one central problem finds: both a plan within the limits at the same cost, or neither."""
    folder = tmp_path_factory.mktemp("day")
    (folder / "day.yaml").write_text(yaml.safe_dump(day(seed, folder)))
    try:
        scenario = admmflex.load(folder / "day.yaml")
        agreed = admmflex.run(scenario)
    except InputError:
        return  # cut off by an open switch, or a slack outside of the limits
    central = admmflex.run(of_method(scenario, "central"))
    assert agreed.status == central.status
    if agreed.status == "optimal":
        assert agreed.summary["steps_beyond_limits"] == 0
        assert agreed.objective_eur == pytest.approx(central.objective_eur, rel=2e-3, abs=5e-3)


def of_method(scenario: Any, method: str) -> Any:
    from dataclasses import replace

    data = scenario.spec.model_dump(by_alias=True, exclude_unset=True) | {"coordination": {"method": method}}
    return replace(scenario, spec=ScenarioSpec.model_validate(data))
