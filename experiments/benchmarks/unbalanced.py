"""Three-phase power flow of the IEEE European feeder, 907 buses, 350 scenarios of a day in 96 steps, one thread each.

Each of the 55 customers draws a lognormal load and feeds in PV on its own phase; all tools get the same powers.
power-grid-model runs a batch, OpenDSS (dss-python) a loop of set powers, solve and read voltages, both on a sample of
steps that is scaled; they return the voltages of all buses. Ours is timed twice: with the voltages of all buses, day by
day, and with those of the buses that are swept (customers and forks), from which any other follows on demand. Building
the models and tables is not timed. ``agreement`` is the largest |difference of complex voltage| [pu] on the sample, all
buses.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import grid
from experiments.benchmarks.common import Peer, Row, attempt, median_time, versions

SCENARIOS, STEPS = 350, 96
Real = NDArray[np.float64]
Complex = NDArray[np.complex128]
Tool = tuple[Callable[[Real, Real], Any], Callable[[Any], Complex]]  # solve powers, its result as voltages (n, 3, K)


def rows() -> list[Row]:
    """One row per tool, all against the same run of ours."""
    return compare(SCENARIOS, STEPS, {"power-grid-model": 320, "OpenDSS": 160})


def compare(scenarios: int, steps: int, samples: dict[str, int], repeats: int = 5) -> list[Row]:
    """Rows for some scenarios and steps, the peers on samples of them."""
    net = feeder()
    network = grid.read_three_phase(net).network
    at = network.positions(net.asymmetric_load.bus)
    p, q = powers(scenarios, steps)
    flow = grid.unbalanced_flow(network, p, q, at=at).require()
    kept = f"{len(flow.reduction.kept)} swept buses"

    def day_by_day() -> None:
        for first in range(0, p.shape[2], steps):
            day = slice(first, first + steps)
            _ = grid.unbalanced_flow(network, p[..., day], q[..., day], at=at).v

    del flow
    seconds = {
        "all buses": median_time(day_by_day, min(repeats, 3)),
        kept: median_time(lambda: grid.unbalanced_flow(network, p, q, at=at), repeats),
    }
    tools: tuple[tuple[str, str, str, Callable[..., Tool]], ...] = (
        ("power-grid-model", "batch, asymmetric iterative_current, error 1e-8", "power-grid-model", power_grid_model),
        ("OpenDSS", "loop of set powers and solve, tolerance 1e-8", "dss-python", opendss),
    )
    place = network.positions(net.bus.index)

    def measure(build: Callable[..., Tool], count: int) -> Peer:
        picked = np.linspace(0, p.shape[2] - 1, count).astype(np.int64)
        powers_there = p[..., picked], q[..., picked]
        solve, voltages = build(net, *powers_there)
        ours = grid.unbalanced_flow(network, *powers_there, at=at).v_at(place)
        apart = float(np.abs(voltages(solve(*powers_there)) - ours).max())
        peer_s = median_time(partial(solve, *powers_there), repeats=min(repeats, 3), warm_up=0)
        return Peer(peer_s * p.shape[2] / count, apart, f"peer measured on {count} steps and scaled")

    name = f"three-phase power flow, {network.n} buses, {scenarios} scenarios x {steps} steps, voltages of"
    measured = [
        (f"{tool} {how}", attempt(partial(measure, build, samples[tool])), "pu", versions("numpy", "numba", package))
        for tool, how, package, build in tools
    ]
    return [Row.against(f"{name} {what}", ours_s, *one) for what, ours_s in seconds.items() for one in measured]


def feeder() -> Any:
    """The feeder without the zero-sequence magnetising branch that only pandapower has."""
    import pandapower.networks as nw

    net = nw.ieee_european_lv_asymmetric()
    net.trafo["mag0_percent"] = 1e9
    return net


def powers(scenarios: int, steps: int, seed: int = 0) -> tuple[Real, Real]:
    """Injections (55, 3, scenarios * steps) of the customers in kW and kvar: lognormal loads less PV of a sunny day."""
    rng = np.random.default_rng(seed)
    size = scenarios * steps
    load = rng.lognormal(-0.9, 0.8, (55, size))
    sun = np.tile(np.clip(np.sin(np.pi * (np.arange(steps) + 0.5) / steps * 2 - np.pi / 2), 0, 1), scenarios)
    sky = rng.uniform(0.2, 1.0, scenarios).repeat(steps)
    rating = rng.choice([0.0, 3.0, 5.0], 55)[:, None]
    p, q = np.zeros((55, 3, size)), np.zeros((55, 3, size))
    customer, phase = np.arange(55), rng.integers(0, 3, 55)
    p[customer, phase], q[customer, phase] = 0.7 * rating * sun * sky - load, -0.3 * load
    return p, q


def power_grid_model(net: Any, p: Real, q: Real) -> Tool:
    """The feeder by sequence data, one asymmetric load per customer."""
    from power_grid_model import CalculationMethod, ComponentType, PowerGridModel, WindingType, initialize_array

    n, m, steps = len(net.bus), len(net.line), p.shape[2]
    order = {bus: i for i, bus in enumerate(net.bus.index)}

    def table(kind: Any, size: int, first: int, **columns: Any) -> Any:
        made = initialize_array("input", kind, size)
        made["id"] = first + np.arange(size)
        for column, value in columns.items():
            made[column] = value
        return made

    kind, t, long = ComponentType, net.trafo.iloc[0], net.line.length_km
    load = table(
        kind.asym_load, 55, n + m + 2, node=[order[bus] for bus in net.asymmetric_load.bus], status=1, type=0,
        p_specified=0.0, q_specified=0.0,
    )  # fmt: skip
    parts = {
        kind.node: table(kind.node, n, 0, u_rated=net.bus.vn_kv * 1e3),
        kind.line: table(
            kind.line, m, n, from_node=[order[bus] for bus in net.line.from_bus],
            to_node=[order[bus] for bus in net.line.to_bus], from_status=1, to_status=1, i_n=1e3, c1=0, c0=0, tan1=0,
            tan0=0, r1=net.line.r_ohm_per_km * long, x1=net.line.x_ohm_per_km * long,
            r0=net.line.r0_ohm_per_km * long, x0=net.line.x0_ohm_per_km * long,
        ),
        kind.transformer: table(
            kind.transformer, 1, n + m, from_node=order[t.hv_bus], to_node=order[t.lv_bus], from_status=1, to_status=1,
            u1=t.vn_hv_kv * 1e3, u2=t.vn_lv_kv * 1e3, sn=t.sn_mva * 1e6, uk=t.vk_percent / 100, i0=0, p0=0,
            pk=t.vkr_percent / 100 * t.sn_mva * 1e6, winding_from=WindingType.delta, winding_to=WindingType.wye_n,
            clock=1, tap_side=0, tap_pos=0, tap_min=-1, tap_max=1, tap_nom=0, tap_size=0.0,
        ),
        kind.source: table(
            kind.source, 1, n + m + 1, node=order[net.ext_grid.bus.iloc[0]], status=1, sk=1e40,
            u_ref=net.ext_grid.vm_pu.iloc[0],
        ),
        kind.asym_load: load,
    }  # fmt: skip
    model = PowerGridModel(parts)
    update = initialize_array("update", kind.asym_load, (steps, 55))
    update["id"] = load["id"]

    def solve(p: Real, q: Real) -> Any:
        update["p_specified"], update["q_specified"] = -p.transpose(2, 0, 1) * 1e3, -q.transpose(2, 0, 1) * 1e3
        return model.calculate_power_flow(
            symmetric=False,
            error_tolerance=1e-8,
            calculation_method=CalculationMethod.iterative_current,
            update_data={kind.asym_load: update},
            threading=-1,
            output_component_types={kind.node: ["u_pu", "u_angle"]},
        )[kind.node]

    return solve, lambda found: (found["u_pu"] * np.exp(1j * found["u_angle"])).transpose(1, 2, 0)


def opendss(net: Any, p: Real, q: Real) -> Tool:
    """The same circuit from a script; one constant-power load per customer and phase."""
    from dss import dss

    here = os.getcwd()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "feeder.dss"
        path.write_text(script(net, np.argwhere(p.any(axis=2))))
        dss.Text.Command = f'redirect "{path}"'
        os.chdir(here)  # OpenDSS goes to the folder of the script
    used = p.any(axis=2)
    circuit, loads = dss.ActiveCircuit, dss.ActiveCircuit.Loads

    def solve(p: Real, q: Real) -> Real:
        kw, kvar = -p[used].T, -q[used].T
        out = np.empty((len(kw), 6 * len(net.bus)))
        for k in range(len(kw)):
            for i in range(kw.shape[1]):
                loads.idx = i + 1
                loads.kW, loads.kvar = kw[k, i], kvar[k, i]
            circuit.Solution.Solve()
            out[k] = circuit.AllBusVolts
        return out

    names = circuit.AllNodeNames
    column = {name: i for i, name in enumerate(names)}
    order = np.array([[column[f"{bus}.{node}"] for node in (1, 2, 3)] for bus in net.bus.index])
    base = net.bus.vn_kv.to_numpy()[:, None, None] * 1e3 / np.sqrt(3)

    def voltages(found: Real) -> Complex:
        v: Complex = (found[:, 0::2] + 1j * found[:, 1::2]).T[order] / base
        if not ((np.abs(v) > 0.5) & (np.abs(v) < 1.5)).all():
            raise RuntimeError("OpenDSS says converged outside 0.5 to 1.5 pu")
        return v

    return solve, voltages


def script(net: Any, loads: NDArray[np.int64]) -> str:
    """The feeder for OpenDSS with loads at (customer, phase) and a stiff source."""
    t = net.trafo.iloc[0]
    kv, kva = [float(t.vn_hv_kv), float(t.vn_lv_kv)], float(t.sn_mva) * 1e3
    x, r = float(np.sqrt(t.vk_percent**2 - t.vkr_percent**2)), float(t.vkr_percent)
    lines = [
        "Clear",
        "Set DefaultBaseFrequency=50",
        f"New Circuit.european bus1=0 basekv={kv[0]!r} pu={float(net.ext_grid.vm_pu[0])!r} mvasc3=1e12 mvasc1=1e12",
        f"New Transformer.T phases=3 windings=2 buses=[0 1] conns=[delta wye] kvs={kv} kvas={[kva, kva]}",
        f"~ xhl={x!r} %loadloss={r!r} ppm_antifloat=0",
    ]
    for i, row in net.line.iterrows():
        lines.append(
            f"New Line.{i} bus1={row.from_bus} bus2={row.to_bus} phases=3 length={float(row.length_km)!r} units=km "
            f"r1={row.r_ohm_per_km} x1={row.x_ohm_per_km} r0={row.r0_ohm_per_km} x0={row.x0_ohm_per_km} c1=0 c0=0"
        )
    bus = net.asymmetric_load.bus.to_numpy()
    for i, f in loads:
        lines.append(
            f"New Load.{i}_{f} phases=1 bus1={bus[i]}.{f + 1} kv=0.24 kw=1 kvar=0 vminpu=0.1 vmaxpu=2 vlowpu=0.05"
        )
    return "\n".join([*lines, f"Set VoltageBases={kv}", "CalcVoltageBases", "Set Tolerance=1e-8", "Solve"])
