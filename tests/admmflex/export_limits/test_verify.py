"""OpenDSS runs what the limits say, and what it should not be believed is rejected."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

import grid
from admmflex.errors import InputError
from admmflex.export_limits import Scenarios, customers_of, uniform_limits
from admmflex.export_limits.checked import check
from admmflex.export_limits.powers import Day

pytest.importorskip("dss")

from admmflex.export_limits.verify import Simulator, simulate


def script(w: int, frequency: int = 50) -> str:
    """Five buses below a transformer, loads on single phases and one on three, earthed neutral at will."""
    nodes = "1.2.3" if w == 3 else "1.2.3.4"
    z = " | ".join(" ".join(["0.12"] * i + ["0.45"]) for i in range(w))
    x = " | ".join(" ".join(["0.10"] * i + ["0.30"]) for i in range(w))
    back = "" if w == 3 else ".4"
    lines = [
        "Clear",
        f"Set DefaultBaseFrequency={frequency}",
        "New Circuit.small bus1=hv basekv=11 pu=1.03 mvasc3=1e6 mvasc1=1e6",
        f"New Transformer.T phases=3 windings=2 buses=[hv lv.{nodes}] conns=[delta wye] kvs=[11 0.4] kvas=[250 250] "
        "xhl=4 %loadloss=1 ppm_antifloat=0",
        f"New Linecode.code nphases={w} basefreq={frequency} units=km rmatrix=[{z}] xmatrix=[{x}] "
        f"cmatrix=[{' | '.join(' '.join(['0'] * (i + 1)) for i in range(w))}] normamps=120",
        *(["New Reactor.e phases=1 bus1=lv.4 bus2=lv.0 r=1 x=0"] if w == 4 else []),
    ]
    for i, up in enumerate(("lv", "b0", "b1", "b1")):
        lines.append(f"New Line.l{i} bus1={up}.{nodes} bus2=b{i}.{nodes} linecode=code length=0.2 units=km")
    for i, (bus, f) in enumerate((("b0", 1), ("b1", 2), ("b2", 3), ("b3", 1), ("b3", 2))):
        lines.append(
            f"New Load.home{i} phases=1 bus1={bus}.{f}{back} kv=0.231 kw=2 kvar=0.5 vminpu=0.1 vmaxpu=2 vlowpu=0.05"
        )
    three = "1.2.3" + back
    lines.append(f"New Load.farm phases=3 bus1=b2.{three} kv=0.4 kw=6 kvar=1 vminpu=0.1 vmaxpu=2 vlowpu=0.05")
    return "\n".join([*lines, "Set VoltageBases=[11 0.4]", "CalcVoltageBases", "Solve", ""])


@pytest.fixture(params=[3, 4], ids=["three wires", "four wires"])
def feeder(request, tmp_path):
    path = tmp_path / "small.dss"
    path.write_text(script(request.param))
    return path, customers_of(grid.read_three_phase(path), 12.0)


def drawn(customers, count=4, steps=6, sun=1.0):
    rng = np.random.default_rng(2)
    load = rng.lognormal(0.0, 0.5, (count, customers.n, steps))
    avail = sun * rng.uniform(0.3, 1.0, (count, 1, steps)) * customers.rating_kw[:, None]
    return Scenarios(load, 0.2 * load, avail, 0.25, "2016-06-01")


def test_the_check_of_a_limit_is_that_of_opendss(feeder):
    """Voltages of customers and phases with and without a limit, and which scenarios break the band."""
    path, customers = feeder
    scenarios, band = drawn(customers), (0.9, 1.06)
    limits = grid.UnbalancedLimits(customers.network, *band, line_loading=50.0, transformer_loading=50.0)
    simulator, xi = Simulator(path, customers), np.linspace(0.1, 0.9, 6)
    free = check(customers, scenarios, limits)
    limited = check(customers, scenarios, limits, xi, known=free)
    for found, other in ((free, simulate(simulator, scenarios)), (limited, simulate(simulator, scenarios, xi))):
        assert_allclose(found.customer, other.v, atol=5e-8)
        assert_allclose(np.nanmax(found.phase, axis=1), other.high, atol=5e-8)
        assert (found.broken == other.violated(*band)).all()
    assert limited.broken.sum() < free.broken.sum()


def test_voltages_and_losses_are_those_of_our_power_flow(feeder):
    path, customers = feeder
    scenarios = drawn(customers)
    found = simulate(Simulator(path, customers), scenarios)
    for s in range(4):
        day = Day.of(customers, scenarios, s)
        flow = day.flow(scenarios.avail[s]).require()
        v = flow.v_at(customers.at)
        u = np.abs(v[:, :3] - v[:, 3:] if customers.network.w == 4 else v)
        assert_allclose(found.high[s], u.max(axis=(0, 1)), atol=2e-8)
        assert_allclose(found.low[s], u.min(axis=(0, 1)), atol=2e-8)
        own = np.where(customers.share[:, :, None] > 0, u[customers.row], -1.0).max(axis=1)
        assert_allclose(found.v[s], own, atol=2e-8)
        assert_allclose(found.loss_kw[s], flow.loss_kw, atol=1e-5)
        assert_allclose(found.export_kw[s], flow.pcc_kw.real.sum(axis=0), atol=1e-5)
    assert not found.lost.any()


def test_exact_limits_hold_and_ten_percent_more_do_not(feeder):
    path, customers = feeder
    scenarios = drawn(customers)
    limits = grid.UnbalancedLimits(customers.network, v_min=0.8, v_max=1.06)
    xi = uniform_limits(customers, scenarios, limits).xi
    simulator = Simulator(path, customers)
    free = simulate(simulator, scenarios)
    assert free.violated(0.8, 1.06).any(axis=0).all()
    lowest = xi.min(axis=0)
    held = simulate(simulator, scenarios, lowest, known=free)
    assert not held.violated(0.8, 1.06).any()
    assert (held.pv_kw <= free.pv_kw + 1e-9).all()
    assert simulate(simulator, scenarios, 1.1 * lowest).violated(0.8, 1.06).any(axis=0).all()
    again = simulate(simulator, scenarios, lowest)
    assert_allclose(again.high, held.high, atol=1e-7)


def test_loading_is_the_current_over_the_rating(feeder):
    path, customers = feeder
    scenarios = drawn(customers, 1)
    found = simulate(Simulator(path, customers, {"Line.l0": (2, 120.0)}), scenarios)
    flow = Day.of(customers, scenarios, 0).flow(scenarios.avail[0])
    branch = [name.lower() for name in customers.network.branch_names].index("l0")
    assert_allclose(found.loading[0], np.abs(flow.i_to_a([branch]))[0, :3].max(axis=0) / 120.0, rtol=1e-6)


def test_a_solution_far_from_nominal_voltage_is_rejected(feeder):
    """Far more power than the feeder carries; with loads as impedances OpenDSS says converged all the same."""
    path, customers = feeder
    scenarios = drawn(customers)
    heavy = Scenarios(400.0 * scenarios.load_p, scenarios.load_q, 0.0 * scenarios.avail, 0.25, scenarios.start)
    for impedances in (False, True):
        simulator = Simulator(path, customers)
        if impedances:
            simulator.command("BatchEdit Load..* vminpu=0.95 vlowpu=0.9")
        found = simulate(simulator, heavy)
        assert found.lost.all()
        assert np.isnan(found.high).all()
        assert found.violated(0.0, 9.0).all()
    from dss import dss

    assert dss.ActiveCircuit.Solution.Converged


def test_frequency_of_an_earlier_circuit_does_not_stay(feeder, tmp_path):
    path, customers = feeder
    lines = script(customers.network.w).splitlines()
    plain = tmp_path / "plain.dss"
    plain.write_text(
        "\n".join(line for line in lines if not line.startswith("Set Default")).replace("basefreq=50", "basefreq=60")
    )
    Simulator(path, customers)
    simulator = Simulator(plain, customers)
    assert simulator.frequency == 60.0


def test_what_the_circuit_lacks_is_named(feeder, tmp_path):
    path, customers = feeder
    with pytest.raises(InputError, match=r"'Line\.none'"):
        Simulator(path, customers, {"Line.none": (1, 10.0)})
    renamed = tmp_path / "renamed.dss"
    renamed.write_text(path.read_text().replace("b3", "b9"))
    with pytest.raises(InputError, match="bus 'b3': not in"):
        Simulator(renamed, customers)
    with pytest.raises(InputError, match="refuses the script"):
        Simulator("Clear\nNew Nonsense.x", customers)
