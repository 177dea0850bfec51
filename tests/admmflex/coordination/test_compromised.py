"""Days with devices under suspicion: plans that hold under attack, by prices as by one problem."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

import admmflex
from admmflex import scenario
from admmflex.assets.battery import Battery
from admmflex.assets.held import Held
from admmflex.comm import SerialComm
from admmflex.coordination.central import CentralResult, solve_central
from admmflex.coordination.compromised import Headroom, largest_budget, secured
from admmflex.coordination.schemes import by_prices
from admmflex.data.study import Study
from admmflex.errors import InputError
from admmflex.studies.attacks import attack

HAND = Path(__file__).parents[3] / "experiments" / "hand" / "day.yaml"
WIDE = "limits: { v_min: 0.95, v_max: 1.05 }"


@pytest.fixture
def changed(tmp_path: Path) -> Callable[..., Study]:
    """``changed(section, limits, method)``: five homes by hand with a section ``compromised``."""

    def build(section: str, limits: str = WIDE, method: str = "admm") -> Study:
        text = HAND.read_text(encoding="utf-8").replace(WIDE, limits).replace("method: admm", f"method: {method}")
        text = text.replace("network.json", str(HAND.parent / "network.json"))
        path = tmp_path / "day.yaml"
        path.write_text(f"{text}compromised: {section}\n", encoding="utf-8")
        return scenario.build(scenario.load(path))

    return build


@cache
def _noon() -> Study:
    path = Path(__file__).parents[3] / "experiments" / "compromised" / "rural3.yaml"
    loaded = scenario.load(path)
    short = loaded.spec.model_copy(
        update={
            "horizon": loaded.spec.horizon.model_copy(
                update={"start": "2016-05-26 11:00", "duration": None, "steps": 8}
            )
        }
    )
    return secured(scenario.build(replace(loaded, spec=short)))


def central(study: Study) -> CentralResult:
    return solve_central(study.network, study.limits, study.prosumers, study.horizon, threat=study.threat)


@pytest.fixture
def noon() -> Study:
    pytest.importorskip("simbench")
    return _noon()


def test_a_plan_with_margins_holds_under_attack_and_one_without_does_not(noon: Study) -> None:
    assert noon.threat is not None
    best = central(noon)
    kept = attack(noon, best.y, 700, seed=1)
    assert kept.attacks == 700
    assert kept.broken == 0
    assert max(kept.voltage_pu, kept.loading) <= 1e-5
    assert max(kept.voltage_pu, kept.loading) > -1e-3  # no more than needed
    bare = central(replace(noon, threat=replace(noon.threat, budget=0)))
    assert bare.cost < best.cost
    broken = attack(noon, bare.y, 700, seed=1)
    assert broken.broken > 0
    assert broken.voltage_pu > 5e-3


def test_prices_find_the_robust_optimum(noon: Study) -> None:
    best, agreed = central(noon), by_prices(noon, SerialComm(), lambda record: None)
    assert agreed.status == "optimal"
    assert agreed.plan.cost <= best.cost + 1e-3 * abs(best.cost)
    assert agreed.plan.cost >= best.cost - 1e-3 * abs(best.cost)
    assert attack(noon, agreed.plan.y, 550, seed=2).broken == 0


def test_suspects_keep_what_their_owners_do_alone(changed: Callable[..., Study]) -> None:
    study = changed("{ list: [home 3/battery], budget: 1 }")
    found = secured(study)
    assert found.threat is not None
    held = found.prosumers[2].assets[2]
    assert isinstance(held, Held)
    assert_allclose(found.threat.plan[0, 0], held.plan_p_kw)
    assert_allclose(found.threat.low[0], -2.0)
    assert_allclose(found.threat.high[0], 2.0)
    assert found.prosumers[1] is study.prosumers[1]
    assert secured(found) is found


def test_largest_budget_is_that_of_trying_them_all(changed: Callable[..., Study]) -> None:
    study = secured(changed("{ kinds: [pv], budget: 5 }", "limits: { v_min: 0.95, v_max: 1.0562 }"))
    assert study.threat is not None

    def agrees(day: Study) -> bool:
        return central(day).status == "optimal"

    able = [agrees(replace(study, threat=replace(study.threat, budget=n))) for n in range(6)]
    assert able == sorted(able, reverse=True)
    assert able[5] or largest_budget(study, agrees) == sum(able) - 1


def test_a_margin_that_cannot_be_kept_names_the_row_and_the_number_that_can(
    changed: Callable[..., Study], tmp_path: Path
) -> None:
    day = changed("{ kinds: [battery], budget: 1 }", "limits: { v_min: 0.9953, v_max: 1.0555 }")
    found = admmflex.run(day)
    assert found.status == "infeasible"
    message = found.dataset.attrs["message"]
    assert "voltage at bus 5" in message
    assert "no plan holds with 1 of 1 suspects misbehaving, nor with none of them" in message


@pytest.mark.parametrize(
    ("section", "complaint"),
    [
        ("{ list: [home 9/pv], budget: 1 }", "home 9/pv"),
        ("{ prosumers: [home 33], budget: 1 }", "home 33"),
        ("{ kinds: [battery], budget: 2 }", "budget = 2"),
        ("{ kinds: [ev], budget: 0 }", "no device of the study"),
    ],
)
def test_what_nobody_has_is_refused(changed: Callable[..., Study], section: str, complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        changed(section)


def test_charts_know_no_margins(changed: Callable[..., Study]) -> None:
    with pytest.raises(InputError, match="method: charts"):
        changed("{ kinds: [pv], budget: 1 }", method="charts")


def test_limits_of_the_connection_are_refused_with_every_other_fault(changed: Callable[..., Study]) -> None:
    """An attack moves what is drawn at the slack, where a request or an island leaves no room."""
    with pytest.raises(InputError) as caught:
        changed("{ kinds: [battery], budget: 2 }", WIDE.replace(" }", ", connection: { import_kw: 5 } }"))
    assert [fault.value for fault in caught.value.faults] == ["budget = 2", "limits.connection"]
    islanded = "{ kinds: [pv], budget: 1 }\nmode: islanded\nisland: { grid_forming: home 5 }"
    with pytest.raises(InputError, match="mode: islanded"):
        changed(islanded)


def test_a_share_is_drawn_with_the_seed(changed: Callable[..., Study]) -> None:
    some = changed("{ kinds: [pv], share: 0.4, budget: 1 }").suspects
    again = changed("{ kinds: [pv], share: 0.4, budget: 1 }").suspects
    assert some is not None
    assert some == again
    assert len(some.devices) == 2


def test_headroom_covers_the_worst_energy_within_the_time_to_detect(noon: Study) -> None:
    threat = noon.threat
    assert threat is not None
    room = Headroom.against(threat, 0.6, noon.horizon)
    surplus, shortage = threat.deviation_kw()
    minutes = np.repeat(np.arange(noon.horizon.steps), 15)
    for power, kw, kwh in zip((surplus, shortage), room.power_kw, room.energy_kwh, strict=True):
        by_minute = np.concatenate([power[minutes] / 60.0, np.zeros(36)])
        worst = max(by_minute[first : first + 36].sum() for first in range(len(minutes)))
        assert_allclose((kw, kwh), (power.max(), worst))
    assert Headroom.against(threat, 0.0, noon.horizon).energy_kwh == (0.0, 0.0)


def test_trusted_batteries_together_keep_the_headroom(noon: Study) -> None:
    room = Headroom((6.0, 9.0), (3.0, 4.5))
    before = [one for home in noon.prosumers for one in home.assets if isinstance(one, Battery)]
    homes = room.kept(list(noon.prosumers))
    after = [one for home in homes for one in home.assets if isinstance(one, Battery)]
    assert_allclose(sum(a.p_charge_kw - b.p_charge_kw for a, b in zip(before, after, strict=True)), 6.0)
    assert_allclose(sum(a.p_discharge_kw - b.p_discharge_kw for a, b in zip(before, after, strict=True)), 9.0)
    full, empty = (
        sum((a.e_max_kwh - b.e_max_kwh) / a.eta_c for a, b in zip(before, after, strict=True)),
        sum((b.e_min_kwh - a.e_min_kwh) * a.eta_d for a, b in zip(before, after, strict=True)),
    )
    assert_allclose((full, empty), (3.0, 4.5))
    with pytest.raises(InputError, match="suspects can add"):
        Headroom((6.0, 9e3), (3.0, 4.5)).kept(list(noon.prosumers))
    with pytest.raises(InputError, match="e_start_kwh"):
        Headroom((6.0, 9.0), (3.0, 4.5e3)).kept(list(noon.prosumers))
