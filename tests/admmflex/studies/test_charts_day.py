"""``method: charts``: results that add up, for any number of ranks, and studies that cannot be controlled so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.optimize import linprog

import admmflex
from admmflex.data.spec import ChartsSpec, DeviationsSpec
from admmflex.data.study import Study
from admmflex.errors import InputError
from admmflex.horizon import Horizon
from admmflex.results import Result
from admmflex.studies.charts_day import KEPT_PU, faults


def under_charts(study: Study, **keys: float) -> Study:
    settings = study.settings.model_copy(update={"method": "charts", "charts": ChartsSpec(**keys)})
    return replace(study, settings=settings)


@pytest.fixture(scope="module")
def result(five: Callable[[str, str], Study]) -> Result:
    return admmflex.run(under_charts(five("11:00", "2h"), control_seconds=60))


def test_powers_of_the_assets_are_those_of_the_homes(result: Result) -> None:
    data = result.dataset
    owner = data["asset_prosumer"].to_numpy()
    for asset, home in (("asset_p_kw", "p_kw"), ("asset_q_kvar", "q_kvar")):
        total = np.zeros(data[home].shape)
        np.add.at(total, owner, data[asset].to_numpy())
        assert_allclose(total, data[home], atol=1e-9)


def test_charts_that_are_kept_hold_what_was_chosen(result: Result) -> None:
    """Powers are within the sides of their chart; a home that no price moves is at the least of its cost."""
    data = result.dataset
    power = np.stack([data["chart_p_kw"], data["chart_q_kvar"]], axis=-1)
    sides, pieces = data["chart_sides"].to_numpy(), data["chart_pieces"].to_numpy()
    assert power.shape == (5, 8, 2)
    assert (np.einsum("hkmc,hkc->hkm", sides[..., :2], power) <= sides[..., 2] + 1e-5).all()
    steps, at = data["chart_step"].to_numpy(), np.searchsorted(data["bus"], data["prosumer_bus"])
    assert (np.diff(steps) > 0).all()
    price = np.abs(data["price_p"].to_numpy()[at][:, steps]) + np.abs(data["price_q"].to_numpy()[at][:, steps])
    for home, step in zip(*np.nonzero(price < 1e-9), strict=True):
        rows = np.vstack([np.column_stack([pieces[home, step][:, :2], -np.ones(len(pieces[home, step]))]),
                          sides[home, step] * [1, 1, 0]])  # fmt: skip
        right = np.concatenate([-pieces[home, step][:, 2], sides[home, step][:, 2]])
        least = linprog([0, 0, 1], rows, right, bounds=(None, None)).fun
        own = (pieces[home, step][:, :2] @ power[home, step] + pieces[home, step][:, 2]).max()
        assert own == pytest.approx(least, abs=1e-3)


def test_energies_follow_the_powers(five: Callable[[str, str], Study]) -> None:
    """With control steps as long as those of the result no mean hides that a battery both took and gave."""
    data = admmflex.run(under_charts(five("11:00", "2h"), control_seconds=900)).dataset
    battery = (data["asset_kind"] == "battery").to_numpy()
    energy, p = data["energy_kwh"].to_numpy()[battery], data["asset_p_kw"].to_numpy()[battery]
    taken, given = 0.25 * (-p).clip(0.0), 0.25 * p.clip(0.0)
    assert taken.sum() > 1.0
    assert_allclose(energy, 6.0 + np.cumsum(0.95 * taken - given / 0.95, axis=1), atol=1e-9)


def test_energies_stay_in_their_bands(result: Result) -> None:
    energy = result.dataset["energy_kwh"].to_numpy()[(result.dataset["asset_kind"] == "battery").to_numpy()]
    assert (energy >= 3.0 - 1e-9).all()
    assert (energy <= 30.0 + 1e-9).all()


def test_the_summary_tells_of_control_steps(result: Result) -> None:
    told = result.summary["control"]
    assert result.status == "optimal"
    assert (told["steps"], told["seconds"], told["unsettled"]) == (120, 60.0, 0)
    assert told["voltage_excess_pu"] <= KEPT_PU
    assert result.summary["iterations"] == result.dataset.sizes["time"]


def test_the_result_holds_what_happened_instead_of_the_forecast(five: Callable[[str, str], Study]) -> None:
    study = five("11:00", "1h")
    none = DeviationsSpec(load=0.0, flicker=0.0, sun=0.0, clouds=0.0)
    wild = DeviationsSpec(load=0.5, flicker=0.0, sun=0.3, clouds=0.0)
    forecast = np.stack([one.assets[0].p_kw for one in study.prosumers])  # type: ignore[union-attr]
    for deviations, apart in ((none, 0.0), (wild, 0.05)):
        settings = under_charts(study, control_seconds=900)
        charts = settings.settings.charts.model_copy(update={"deviations": deviations})
        changed = settings.settings.model_copy(update={"charts": charts})
        data = admmflex.run(replace(settings, settings=changed)).dataset
        found = data["load_p_kw"].to_numpy()[(data["asset_kind"] == "load").to_numpy()]
        difference = np.abs(found - forecast).max()
        assert difference <= 1e-12 if apart == 0.0 else difference > apart


def test_studies_that_charts_cannot_control_say_why(five: Callable[[str, str], Study]) -> None:
    study = five("11:00", "1h")
    uneven = replace(study, horizon=Horizon(study.horizon.start, np.array([0.25, 0.25, 0.25, 0.5])))
    assert [fault.element for fault in faults(under_charts(uneven))] == ["horizon"]
    with pytest.raises(InputError, match=r"control_seconds = 7.*divisor of the step, 900 s"):
        admmflex.run(under_charts(study, control_seconds=7))


@pytest.mark.parametrize("kept", [slice(0, 1), slice(0, 2)], ids=["loads", "plants"])
def test_homes_without_storages_are_controlled_as_well(kept: slice, five: Callable[[str, str], Study]) -> None:
    study = five("12:00", "30min")
    homes = tuple(replace(one, assets=one.assets[kept]) for one in study.prosumers)
    found = admmflex.run(under_charts(replace(study, prosumers=homes), control_seconds=300))
    assert found.status == "optimal"
    assert found.dataset["v_pu"].max() <= 1.05 + 1e-3
