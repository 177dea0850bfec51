"""AC power flow of a year (35 136 steps) on the SimBench grid 1-LV-rural3--2-sw, 129 buses, one thread each.

All tools get the same network, loads and PV of the year, and return the voltages of all buses and steps.
power-grid-model and lightsim2grid run the whole year; ``pandapower.runpp`` runs a sample of steps in a loop and is
scaled. Building the models, filling the update tables and converting the results is not timed. ``agreement`` is the
largest |difference of complex voltage| [pu].
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

import grid
from experiments.benchmarks.common import Peer, Row, attempt, median_time, versions
from grid.source import open_simbench

CODE, SAMPLE = "1-LV-rural3--2-sw", 20
Real = NDArray[np.float64]
Complex = NDArray[np.complex128]
Tool = tuple[Callable[[], Any], Callable[[Any], Complex], Any]  # solve, its result as voltages, order of its buses


def rows() -> list[Row]:
    """One row per tool, all against the same run of ours."""
    case = grid.read_case(CODE)
    network = case.network
    steps = len(case.profiles) if case.profiles is not None else 0
    p, q = case.bus_sums(slice(0, steps))
    v = grid.power_flow(network, p, q).require().v
    ours_s = median_time(lambda: grid.power_flow(network, p, q), repeats=7)
    name = f"power flow of a year, {network.n} buses, {steps} steps"
    net = _pandapower(network)

    def measure(build: Callable[..., Tool], count: int, repeats: int) -> Peer:
        picked = np.arange(steps) if count == steps else np.linspace(0, steps - 1, count).astype(np.int64)
        solve, voltages, order = build(network, net, p[:, picked], q[:, picked])
        apart = float(np.abs(voltages(solve()) - v[order][:, picked]).max())
        note = "" if count == steps else f"measured on {count} steps and scaled"
        return Peer(median_time(solve, repeats=repeats, warm_up=0) * steps / count, apart, note)

    tools: tuple[tuple[str, str, tuple[Callable[..., Tool], int, int]], ...] = (
        ("power-grid-model iterative_current, error 1e-8", "power-grid-model", (_power_grid_model, steps, 3)),
        ("lightsim2grid TimeSeries, KLU, tolerance 1e-10", "lightsim2grid", (_lightsim2grid, steps, 3)),
        ("loop of pandapower.runpp, numba, tolerance 1e-8 MVA", "pandapower", (_runpp, SAMPLE, 1)),
    )
    return [
        Row.against(name, ours_s, tool, attempt(partial(measure, *how)), "pu", versions("numpy", "numba", package))
        for tool, package, how in tools
    ]


def _pandapower(network: grid.Network) -> Any:
    """The same grid in pandapower, taps counted, with one load at every bus but the slack."""
    import pandapower as pp

    net = open_simbench(CODE)
    for table in ("load", "sgen", "storage", "switch"):
        net[table] = net[table].iloc[:0]  # all switches of this grid are closed
    net.trafo["tap_changer_type"] = "Ratio"
    pp.create_loads(net, network.buses[1:], p_mw=0.0, q_mvar=0.0)
    return net


def _runpp(network: grid.Network, net: Any, p: Real, q: Real) -> Tool:
    import pandapower as pp

    def solve() -> Complex:
        v = np.empty((len(net.bus), p.shape[1]), dtype=np.complex128)
        for k in range(p.shape[1]):
            net.load["p_mw"], net.load["q_mvar"] = -p[1:, k] / 1000, -q[1:, k] / 1000
            pp.runpp(net, calculate_voltage_angles=True, tolerance_mva=1e-8, numba=True)
            v[:, k] = net.res_bus.vm_pu * np.exp(1j * np.deg2rad(net.res_bus.va_degree))
        return v

    return solve, lambda v: v, network.positions(net.bus.index)


def _lightsim2grid(network: grid.Network, net: Any, p: Real, q: Real) -> Tool:
    import pandapower as pp
    from lightsim2grid.lightsim2grid_cpp import TimeSeriesCPP
    from lightsim2grid.network import init_from_pandapower

    pp.runpp(net, calculate_voltage_angles=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = init_from_pandapower(net)
    series, steps = TimeSeriesCPP(model), p.shape[1]
    start = network.v_no_load[network.positions(net.bus.index)].copy()
    generation, none = np.zeros((steps, len(model.get_generators()))), np.zeros((steps, 0))
    load_p, load_q = np.ascontiguousarray(-p[1:].T / 1000), np.ascontiguousarray(-q[1:].T / 1000)

    def solve() -> Any:
        if series.compute_Vs(generation, none, load_p, load_q, start, 20, 1e-10) != 1:
            raise RuntimeError("lightsim2grid did not converge")
        return series.get_voltages()

    return solve, lambda v: v.T, network.positions(net.bus.index)


def _power_grid_model(network: grid.Network, net: Any, p: Real, q: Real) -> Tool:
    """The branches as generic branches: series impedance, shunt, ratio and phase shift at the from side."""
    from power_grid_model import CalculationMethod, ComponentType, PowerGridModel, initialize_array

    n, m, steps = network.n, network.m, p.shape[1]
    node = initialize_array("input", ComponentType.node, n)
    node["id"], node["u_rated"] = np.arange(n), network.base_kv * 1e3
    ratio = np.sqrt((network.y_tt / network.y_ff).real)
    shift = np.angle(network.y_ft / network.y_tf) / 2
    series = -network.y_tf * ratio * np.exp(1j * shift)
    shunt, z_base = network.y_tt - series, (network.base_kv[network.to_bus] * 1e3) ** 2 / 1e6
    branch = initialize_array("input", ComponentType.generic_branch, m)
    branch["id"], branch["from_node"], branch["to_node"] = n + np.arange(m), network.from_bus, network.to_bus
    branch["from_status"] = branch["to_status"] = 1
    branch["r1"], branch["x1"] = (1 / series).real * z_base, (1 / series).imag * z_base
    branch["g1"], branch["b1"] = 2 * shunt.real / z_base, 2 * shunt.imag / z_base
    branch["k"], branch["theta"], branch["sn"] = ratio, shift, 1e6
    source = initialize_array("input", ComponentType.source, 1)
    source["id"], source["node"], source["status"] = n + m, 0, 1
    source["u_ref"], source["sk"] = abs(network.v_slack), 1e50
    load = initialize_array("input", ComponentType.sym_load, n - 1)
    load["id"], load["node"], load["status"], load["type"] = n + m + np.arange(1, n), np.arange(1, n), 1, 0
    load["p_specified"] = load["q_specified"] = 0.0
    parts = {"node": node, "generic_branch": branch, "source": source, "sym_load": load}
    model = PowerGridModel({ComponentType[name]: part for name, part in parts.items()})
    update = initialize_array("update", ComponentType.sym_load, (steps, n - 1))
    update["id"], update["p_specified"], update["q_specified"] = load["id"], -p[1:].T * 1e3, -q[1:].T * 1e3

    def solve() -> Any:
        return model.calculate_power_flow(
            symmetric=True,
            error_tolerance=1e-8,
            calculation_method=CalculationMethod.iterative_current,
            update_data={ComponentType.sym_load: update},
            threading=-1,
            output_component_types={ComponentType.node: ["u_pu", "u_angle"]},
        )[ComponentType.node]

    return solve, lambda result: (result["u_pu"] * np.exp(1j * result["u_angle"])).T, slice(None)
