"""Bills and shares are those of their formulas, and the Gini coefficient that of its definition."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from admmflex.money import bills, curtailed_shares, gini


def test_bills_are_sums_over_steps_and_prices_of_the_own_bus(day):
    data = day.dataset(q_kvar_baseline=np.zeros((2, 4)), p_kw_baseline=np.array([[2.0] * 4, [-2.0] * 4]))
    found = bills(data)
    for row, bus in enumerate((2, 1)):  # north at bus 9, south at bus 7
        paid = grid = before = 0.0
        for k in range(4):
            p, q = data["p_kw"].values[row, k], data["q_kvar"].values[row, k]
            own = data["p_kw_baseline"].values[row, k]
            paid += 0.25 * (0.3 * max(-p, 0.0) - 0.08 * max(p, 0.0))
            before += 0.25 * (0.3 * max(-own, 0.0) - 0.08 * max(own, 0.0))
            grid -= 0.25 * (data["price_p"].values[bus, k] * p + data["price_q"].values[bus, k] * q)
        assert_allclose([found.after[row], found.grid[row], found.before[row]], [paid, grid, before], atol=1e-12)
        assert_allclose(found.change[row], paid + grid - before, atol=1e-12)


def test_shares_of_the_sun(day):
    shares = curtailed_shares(day.dataset())
    assert_allclose(shares[0], 1.0 / 16.0)  # one of sixteen quarter hours of a kW
    assert np.isnan(shares[1])


@pytest.mark.parametrize(
    ("offered_kw", "given_kw", "share"),
    [
        (4.0, 4.0, 0.0),
        (4.0, -0.1, 1.0),  # drawn in standby: not more than all
        (0.0015, 0.0, 1.0),
        (0.001, 0.0, np.nan),  # a watt-hour is none
        (1000.0, 999.0, 0.001),
        (1000.0, 999.5, 0.0),  # rounding of the answers
        (1000.0, 998.5, 0.0015),
    ],
)
def test_a_watt_hour_and_a_thousandth_of_the_sun_count_as_none(day, offered_kw, given_kw, share):
    data = day.dataset()
    plant = np.flatnonzero(data["asset_kind"].values == "pv")
    data["avail_kw"][plant], data["asset_p_kw"][plant] = offered_kw, given_kw
    assert_allclose(curtailed_shares(data)[0], share, rtol=1e-12)


def test_what_other_assets_do_is_no_sun(day):
    data = day.dataset()
    others = np.flatnonzero(data["asset_kind"].values != "pv")
    data["asset_p_kw"][others] = -7.0
    assert_allclose(curtailed_shares(data), curtailed_shares(day.dataset()))


@pytest.mark.parametrize("drop", [["p_kw_baseline"], ["p_kw", "p_kw_baseline"]])
def test_without_a_day_before_or_without_a_plan_there_is_no_change(day, drop):
    found = bills(day.dataset().drop_vars(drop))
    assert (found is None) == ("p_kw" in drop)
    assert found is None or found.change is found.before is None
    assert curtailed_shares(day.dataset().drop_vars("asset_p_kw")) is None


@pytest.mark.parametrize(
    ("amounts", "value"),
    [([1, 1, 1], 0.0), ([0, 0, 0, 5], 0.75), ([0.1, 0.3], 0.25), ([3, 1], 0.25), ([0, 0], 0.0), ([], None), ([2], 0.0)],
)
def test_gini_at_its_ends(amounts, value):
    assert gini(np.array(amounts, float)) == pytest.approx(value, abs=1e-15)


def test_gini_is_the_mean_difference_over_twice_the_mean():
    amounts = np.random.default_rng(0).exponential(size=50)
    difference = np.abs(amounts[:, None] - amounts[None, :]).mean()
    assert_allclose(gini(np.append(amounts, np.nan)), difference / (2.0 * amounts.mean()))
