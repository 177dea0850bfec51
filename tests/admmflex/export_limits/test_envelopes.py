"""Limits by other rules: they hold, nobody can be given more alone, fair ones are fair; inverters settle."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import brentq

import grid
from admmflex.errors import InputError
from admmflex.export_limits import (
    EN_50549,
    RULES,
    Customers,
    Inverter,
    Scenarios,
    export_limits,
    gini,
    operating_envelope,
    pv_power,
    shares,
    uniform_limits,
)  # fmt: skip


def worst(customers, scenarios, limits, export_kw, s, k):
    """Largest excess with export limits (n,) at one scenario and step."""
    p = np.minimum(scenarios.avail[s, :, k], scenarios.load_p[s, :, k] + export_kw) - scenarios.load_p[s, :, k]
    return injected(customers, limits, p[:, None], -scenarios.load_q[s, :, k][:, None])


def injected(customers, limits, p, q):
    flow = grid.unbalanced_flow(customers.network, customers.by_bus(p), customers.by_bus(q), at=customers.at)
    return limits.worst(flow).excess[0]


@pytest.fixture(name="case", scope="module")
def _case(drawn):
    customers, scenarios = drawn(3, 4)
    return customers, scenarios, grid.UnbalancedLimits(customers.network, 0.85, 1.03)


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_keeps_the_limits_and_uses_them(case, rule):
    customers, scenarios, limits = case
    export = export_limits(customers, scenarios, limits, rule)
    assert (export <= customers.rating_kw[:, None] + 1e-9).all()
    for s, k in np.ndindex(export.shape[0], export.shape[2]):
        assert worst(customers, scenarios, limits, export[s, :, k], s, k) <= 1e-7


def test_rules_are_what_they_say(case):
    customers, scenarios, limits = case
    export = {rule: export_limits(customers, scenarios, limits, rule) for rule in RULES}
    found = uniform_limits(customers, scenarios, limits)
    s, k = np.argwhere((found.kind >= 0) & ~found.passive)[0]
    np.testing.assert_allclose(export["uniform"][s, :, k], found.xi[s, k] * customers.rating_kw)
    equal = export["equal"][s, :, k]
    assert np.unique(np.round(equal[equal < customers.rating_kw - 1e-9], 9)).size == 1
    wanted = (scenarios.avail - scenarios.load_p)[s, :, k]
    ratio = (export["proportional"][s, :, k] / wanted)[wanted > 0.01]
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-6)


def test_nobody_can_be_given_more_alone_under_fair_limits(case):
    customers, scenarios, limits = case
    export = export_limits(customers, scenarios, limits, "fair")
    wanted = scenarios.avail - scenarios.load_p
    tried = 0
    for s, k in np.ndindex(export.shape[0], export.shape[2]):
        for i in np.flatnonzero((wanted[s, :, k] > export[s, :, k] + 0.05) & (export[s, :, k] > 0)):
            more = export[s, :, k].copy()
            more[i] += 0.02 * customers.rating_kw[i]
            assert worst(customers, scenarios, limits, more, s, k) > 0
            tried += 1
    assert tried > 10


def test_fair_limits_on_phases_that_do_not_couple_are_worked_out_phase_by_phase(line):
    """Three customers on a line, two on phase a one behind the other, one on b: levels by bisection, one after another.

    Far end of phase a binds: both of a stop at the same share. Phase b goes on alone.
    """
    network = line([-1, 0, 1], [0.6 * np.eye(3)] * 2)
    share = np.eye(3)[[0, 0, 1]]
    customers = Customers(network, ("near", "far", "other"), np.array([1, 2, 2]), share, np.array([8.0, 6.0, 9.0]))
    load = np.full((1, 3, 1), 0.2)
    scenarios = Scenarios(load, 0 * load, customers.rating_kw[None, :, None], 0.25, "2016-06-01")
    limits = grid.UnbalancedLimits(network, 0.8, 1.02)
    found = export_limits(customers, scenarios, limits, "fair")[0, :, 0] / customers.rating_kw

    def excess(x, who):
        return worst(customers, scenarios, limits, np.where(who, x, 0.0) * customers.rating_kw, 0, 0)

    on_a = np.array([True, True, False])
    np.testing.assert_allclose(found[on_a], brentq(lambda x: excess(x, on_a), 0, 1), atol=1e-5)
    np.testing.assert_allclose(found[~on_a], brentq(lambda x: excess(x, ~on_a), 0, 1), atol=1e-5)
    assert found[2] > found[0] + 0.05


def test_worst_off_gets_no_less_under_fair_limits_than_under_uniform_ones(case):
    customers, scenarios, limits = case
    fair, uniform = (export_limits(customers, scenarios, limits, rule) for rule in ("fair", "uniform"))
    assert (fair >= uniform - 1e-5 * customers.rating_kw[:, None]).all()
    assert shares(customers, scenarios, fair).pv_kwh > 1.01 * shares(customers, scenarios, uniform).pv_kwh


def test_envelope_holds_whatever_others_do_within_theirs(case):
    customers, _, limits = case
    given = operating_envelope(customers, limits, np.full(customers.n, 6.0), customers.rating_kw, corners=200)
    assert given.import_kw.min() > 0
    rng = np.random.default_rng(5)
    for _ in range(60):
        p = rng.uniform(-given.import_kw, given.export_kw)[:, None]
        assert injected(customers, limits, p, 0 * p) <= 1e-7
    with pytest.raises(InputError, match="import_kw = -1"):
        operating_envelope(customers, limits, np.full(customers.n, -1.0), customers.rating_kw)


def test_inverters_settle_where_curve_and_power_flow_agree(case):
    customers, scenarios, limits = case
    inverter = replace(EN_50549, watt=((1.02, 1.0), (1.06, 0.2)), var=((0.95, 0.44), (1.0, 0.0), (1.03, -0.44)))
    found = uniform_limits(customers, scenarios, limits, inverter=inverter)
    plain = uniform_limits(customers, scenarios, limits)
    assert found.xi.mean() > plain.xi.mean() + 0.01
    s, k = np.unravel_index(int(plain.xi.argmin()), plain.xi.shape)
    load, avail, load_q = (x[s, :, k] for x in (scenarios.load_p, scenarios.avail, scenarios.load_q))
    wanted = np.minimum(avail, load + found.xi[s, k] * customers.rating_kw)
    p, q = wanted.copy(), 0 * wanted
    for _ in range(400):  # a plain, slow fixed point, customer by customer
        net, reactive = (customers.by_bus(x[:, None]) for x in (p - load, q - load_q))
        flow = grid.unbalanced_flow(customers.network, net, reactive, at=customers.at)
        v = flow.v_at(customers.bus)[:, :, 0]
        u = (customers.share * np.abs(v[:, :3] - v[:, 3:])).sum(axis=1)
        for i, rating in enumerate(customers.rating_kw):
            top = min(wanted[i], rating * np.interp(u[i], *zip(*inverter.watt, strict=True)))
            room = np.sqrt(rating**2 - top**2)
            answer = np.clip(rating * np.interp(u[i], *zip(*inverter.var, strict=True)), -room, room)
            p[i] += 0.1 * (top - p[i])
            q[i] += 0.1 * (answer - q[i])
    assert limits.worst(flow).excess[0] == pytest.approx(found.excess[s, k], abs=1e-6)


def test_curves_that_make_no_sense_are_refused():
    with pytest.raises(InputError) as caught:
        Inverter(watt=((1.1, 1.0), (1.0, 2.0)), var=((1.0, -2.0),))
    assert len(caught.value.faults) == 3


def test_measures_of_fairness():
    assert gini(np.ones(7)) == pytest.approx(0.0)
    x = np.random.default_rng(0).random(40)
    assert gini(x) == pytest.approx(np.abs(x[:, None] - x).mean() / (2 * x.mean()))
    assert gini(np.zeros(3)) == 0.0


def test_shares_count_energy(case):
    customers, scenarios, _ = case
    none = shares(customers, scenarios, np.zeros((customers.n, 1)))
    p = pv_power(scenarios, np.zeros((customers.n, 1)))
    assert none.pv_kwh == pytest.approx(p.sum() * 0.25 / 3)
    assert none.exported_kwh == 0.0
    free = shares(customers, scenarios, customers.rating_kw[:, None])
    assert (free.jain, free.gini, free.worst_off) == pytest.approx((1.0, 0.0, 1.0), abs=1e-2)
