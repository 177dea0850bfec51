"""The search finds the first broken limit: brute force along xi, constructed cases, bad input."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

import grid
from admmflex.errors import InputError
from admmflex.export_limits import Customers, Scenarios, customers_of, pv_power, uniform_limits

FINE = np.linspace(0.0, 1.0, 401)


def excess(customers, scenarios, limits, s, k, xi):
    """Largest excess at each xi (X,), from all voltages and currents of a power flow."""
    p = np.minimum(scenarios.avail[s, :, k, None], scenarios.load_p[s, :, k, None] + xi * customers.rating_kw[:, None])
    net, at = customers.network, customers.at
    p, q = (
        customers.by_bus(x) for x in (p - scenarios.load_p[s, :, k, None], -scenarios.load_q[s, :, k, None] + 0 * xi)
    )
    flow = grid.unbalanced_flow(net, p, q, at=at, tol=1e-11)
    v = flow.v[1:]
    u = np.abs(v[:, :3] - v[:, 3:] if net.w == 4 else v)
    found = [np.maximum(u - limits.v_max, limits.v_min - u).max(axis=(0, 1))]
    rating = net.i_max_a[:, None, None] * limits.line_loading
    found += [(np.abs(i) / rating - 1).max(axis=(0, 1)) for i in (flow.i_to_a(), flow.i_from_a())]
    if limits.unbalance is not None:
        found.append(flow.unbalance()[1:].max(axis=0) - limits.unbalance)
    return np.where(flow.converged, np.max(found, axis=0), np.inf)


@pytest.mark.parametrize(
    ("w", "i_max_a", "given"),
    [
        (3, np.inf, {"v_max": 1.03}),
        (4, np.inf, {"v_max": 1.03}),
        (3, 40.0, {}),
        (4, 40.0, {}),
        (3, np.inf, {"unbalance": 0.004}),
    ],
)
@pytest.mark.parametrize("seed", range(3))
def test_limit_is_the_first_that_breaks_in_a_fine_scan(drawn, seed, w, i_max_a, given):
    customers, scenarios = drawn(seed, w, i_max_a)
    limits = grid.UnbalancedLimits(customers.network, **({"v_min": 0.8, "v_max": 1.2} | given))
    found = uniform_limits(customers, scenarios, limits)
    assert (found.kind >= 0).any()
    for s, k in np.ndindex(found.xi.shape):
        g = excess(customers, scenarios, limits, s, k, FINE)
        if g[0] > 0:
            assert found.passive[s, k]
            continue
        first = np.argmax(g > 0) if (g > 0).any() else len(FINE)
        below = FINE[first - 1]
        above = FINE[first] if first < len(FINE) else 1.0
        assert below - 1e-6 <= found.xi[s, k] <= above
        assert excess(customers, scenarios, limits, s, k, found.xi[s, k : k + 1])[0] <= 2e-8
        assert (found.kind[s, k] >= 0) == (first < len(FINE))


def hump(line):
    """Phase a rises with a small plant that soon gives all it has, and falls with a large one on phase b."""
    network = line([-1, 0], [((0.5 + 0.1j) * np.eye(3) + 0.3)])
    share = np.eye(3)[[0, 1, 1]]
    customers = Customers(network, ("small", "large", "shop"), np.ones(3), share, np.array([20.0, 20.0, 0.0]))
    load = np.array([[[0.5], [0.5], [18.0]]])
    return customers, Scenarios(load, 0 * load, np.array([[[4.5], [20.0], [0.0]]]), 0.25, "2016-06-01")


def test_voltage_that_rises_and_falls_again_does_not_fool_it(line):
    customers, scenarios = hump(line)
    free = grid.UnbalancedLimits(customers.network, 0.5, 1.5)

    def va(xi):
        p = np.minimum(scenarios.avail[0], scenarios.load_p[0] + xi * customers.rating_kw[:, None])
        p -= scenarios.load_p[0]
        p = customers.by_bus(p)
        return np.abs(grid.unbalanced_flow(customers.network, p, 0 * p, at=customers.at).v[1, 0])

    course = va(FINE)
    top = int(course.argmax())
    assert 0 < top < 200
    assert course[-1] < course[top] - 1e-3  # at full export the limit holds again
    limits = replace(free, v_max=float((course[top] + course[-1]) / 2))
    assert excess(customers, scenarios, limits, 0, 0, np.array([1.0]))[0] < 0
    found = uniform_limits(customers, scenarios, limits)
    first = FINE[np.argmax(course > limits.v_max)]
    assert first - 1 / 400 - 1e-6 <= found.xi[0, 0] <= first
    assert found.what_binds(0, 0) == "voltage of phase a at bus 1 '1'"
    assert uniform_limits(customers, scenarios, limits, scan=1).xi[0, 0] == 1.0  # what the scan is for


def test_largest_limit_where_nothing_binds(drawn):
    customers, scenarios = drawn(0)
    found = uniform_limits(customers, scenarios, grid.UnbalancedLimits(customers.network, 0.5, 1.5))
    assert (found.xi == 1.0).all()
    assert found.what_binds(0, 0) is None
    np.testing.assert_array_equal(
        found.pv, np.minimum(scenarios.avail, scenarios.load_p + customers.rating_kw[:, None])
    )


def test_passive_violation_is_told_with_customer_step_and_voltage(line):
    network = line([-1, 0], [(0.5 + 0.1j) * np.eye(3)], v=1.08)
    customers = Customers(network, ("a", "b"), np.array([1, 1]), np.eye(3)[:2], np.array([5.0, 5.0]))
    load = np.array([[[0.1, 0.1], [30.0, 30.0]]])
    avail = np.array([[[5.0, 0.0], [5.0, 0.0]]])
    scenarios = Scenarios(load, 0 * load, avail, 0.25, "2016-06-01")
    found = uniform_limits(customers, scenarios, grid.UnbalancedLimits(network, 0.9, 1.07))
    assert found.passive.all()
    np.testing.assert_array_equal(found.xi, [[0.0, 1.0]])  # without sun there is nothing to limit
    notes = found.passive_notes()
    assert re.fullmatch(r"scenario 0, step 0: voltage of phase \w at bus 1 '1' broken without any export; .*", notes[0])
    assert re.search(r"worst customer 'a' at 1.0\d\d\d pu on phase a", notes[0])


def test_power_flow_without_solution_counts_as_violation(line):
    network = line([-1, 0], [(9.0 + 9.0j) * np.eye(3)])
    customers = Customers(network, ("a",), np.array([1]), np.eye(3)[:1], np.array([500.0]))
    load = np.zeros((1, 1, 1))
    scenarios = Scenarios(load, load, load + 500.0, 0.25, "2016-06-01")
    found = uniform_limits(customers, scenarios, grid.UnbalancedLimits(network, 0.1, 50.0))
    assert 0 < found.xi[0, 0] < 1


def test_scenarios_do_not_depend_on_each_other(drawn):
    customers, scenarios = drawn(1)
    limits = grid.UnbalancedLimits(customers.network, 0.9, 1.03)
    whole = uniform_limits(customers, scenarios, limits)
    parts = [uniform_limits(customers, scenarios.part(s, s + 1), limits).xi for s in range(3)]
    np.testing.assert_allclose(np.concatenate(parts), whole.xi, atol=1e-6)


def test_every_fault_of_customers_and_scenarios_at_once(line):
    network = line([-1, 0, 1], [np.eye(3) * 0.1] * 2)
    wires = np.array([[1, 1, 1], [1, 1, 1], [1, 0, 0]], dtype=bool)
    network = replace(network, wires=wires)
    share = np.array([[0, 1, 0], [1, 0, 0], [0.5, 0.2, 0], [1, 0, 0]], dtype=float)
    with pytest.raises(InputError) as caught:
        Customers(network, ("p", "q", "q", "r"), np.array([2, 9, 1, 0]), share, np.array([1.0, -1.0, np.nan, 1.0]))
    told = str(caught.value)
    for part in ("connected to phase b of bus 2", "bus position 9", "at the slack", "several customers"):
        assert part in told
    for part in ("rating -1 kW", "rating nan kW", "shares 0.5, 0.2, 0"):
        assert part in told
    load = np.ones((1, 2, 1))
    with pytest.raises(InputError, match="avail = nan of customer 1 at step 0"):
        Scenarios(load, load, np.array([[[1.0], [np.nan]]]), 0.25, "2016-06-01")
    with pytest.raises(InputError, match="load_p = -1"):
        Scenarios(-load, load, load, 0.25, "2016-06-01")
    with pytest.raises(InputError, match="all the same"):
        Scenarios(load, load[:, :1], load, 0.25, "2016-06-01")


def test_pv_without_inverter_and_other_customers_are_refused(drawn):
    customers, scenarios = drawn(0)
    limits = grid.UnbalancedLimits(customers.network)
    none = replace(customers, rating_kw=np.zeros(customers.n))
    with pytest.raises(InputError, match="the rating is 0 kW") as caught:
        uniform_limits(none, scenarios, limits)
    assert len(caught.value.faults) == customers.n
    fewer = Scenarios(*(x[:, :2] for x in (scenarios.load_p, scenarios.load_q, scenarios.avail)), 0.25, "2016-06-01")
    with pytest.raises(InputError, match="2 customers"):
        uniform_limits(customers, fewer, limits)


def test_customers_from_the_loads_of_a_file():
    import pandapower.networks as nw

    case = grid.read_three_phase(nw.ieee_european_lv_asymmetric())
    customers = customers_of(case, 5.0)
    assert customers.n == 55
    assert set(np.unique(customers.share)) == {0.0, 1.0}
    name = customers.name[3]
    assert customers_of(case, {name: 4.0}).rating_kw.sum() == 4.0
    with pytest.raises(InputError, match="no such customer"):
        customers_of(case, {"nobody": 4.0})
    assert customers_of(case).rating_kw.sum() == 0.0


def test_powers_of_pv_under_a_limit(drawn):
    customers, scenarios = drawn(2)
    limit = 0.3 * customers.rating_kw[:, None]
    p = pv_power(scenarios, limit)
    assert (p - scenarios.load_p <= limit + 1e-12).all()
    assert (p <= scenarios.avail).all()
