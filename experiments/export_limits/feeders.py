"""Feeders as OpenDSS scripts, which both our reader and OpenDSS take: one file, two simulators."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import grid
from admmflex.export_limits import Customers, customers_of

RATING_KW = {"european": 8.0, "rural3": 8.0}
SEED = 4
_THREE_PHASE_KW = 5.0
_ZERO_OVER_POSITIVE = 4.0


@dataclass(frozen=True, eq=False)
class Feeder:
    """A script, its customers, all with PV, and the limits of its voltages and rated currents."""

    name: str
    script: Path
    customers: Customers
    limits: grid.UnbalancedLimits


def feeder(name: str, folder: Path, v_max: float = 1.1) -> Feeder:
    """Write the script of a feeder to a folder and read it.

    european: the IEEE European low-voltage test feeder, 907 buses, 55 customers of one phase. rural3: SimBench's
    1-LV-rural3--2, 153 customers on 129 buses; which phase a customer has is drawn, the zero sequence of its lines is
    four times the positive, its transformer is Dyn without taps.
    """
    path = folder / f"{name}.dss"
    path.write_text({"european": _european, "rural3": _rural3}[name](), encoding="utf-8")
    customers = customers_of(grid.read_three_phase(path), RATING_KW[name])
    return Feeder(name, path, customers, grid.UnbalancedLimits(customers.network, v_min=0.9, v_max=v_max))


def _european() -> str:
    import pandapower.networks as nw

    net = nw.ieee_european_lv_asymmetric()
    load = net.asymmetric_load
    phase = load[["p_a_mw", "p_b_mw", "p_c_mw"]].to_numpy().argmax(axis=1)
    at = [f"{bus}.{f + 1}" for bus, f in zip(load.bus, phase, strict=True)]
    homes = [load_line(f"home{i}", one, 1, 0.24) for i, one in enumerate(at, start=1)]
    return script(net, net.line.r0_ohm_per_km, net.line.x0_ohm_per_km, homes)


def _rural3() -> str:
    net = grid.source.open_simbench("1-LV-rural3--2-no_sw")
    rng = np.random.default_rng(SEED)
    homes = []
    for i, (bus, p_mw) in enumerate(zip(net.load.bus, net.load.p_mw, strict=True)):
        three, f = 1e3 * p_mw > _THREE_PHASE_KW, rng.integers(1, 4)
        homes.append(
            load_line(f"home{i + 1}", f"{bus}" if three else f"{bus}.{f}", 3 if three else 1, 0.4 if three else 0.231)
        )
    by = _ZERO_OVER_POSITIVE
    return script(net, by * net.line.r_ohm_per_km, by * net.line.x_ohm_per_km, homes)


def load_line(name: str, bus: str, phases: int, kv: float) -> str:
    """A load of 1 kW; its bus names the phases, as in ``7.2``."""
    return f"New Load.{name} phases={phases} bus1={bus} kv={kv} kw=1 kvar=0 vminpu=0.1 vmaxpu=2 vlowpu=0.05"


def script(net: Any, r0: Any, x0: Any, loads: list[str]) -> str:
    """A stiff source, one transformer Dyn, lines by sequences without charging, loads."""
    t, slack = net.trafo.iloc[0], net.ext_grid.iloc[0]
    kv, kva = [float(t.vn_hv_kv), float(t.vn_lv_kv)], float(t.sn_mva) * 1e3
    x, r = float(np.sqrt(t.vk_percent**2 - t.vkr_percent**2)), float(t.vkr_percent)
    lines = [
        "Clear",
        "Set DefaultBaseFrequency=50",
        f"New Circuit.feeder bus1={slack.bus} basekv={kv[0]!r} pu={float(slack.vm_pu)!r} mvasc3=1e7 mvasc1=1e7",
        f"New Transformer.T phases=3 windings=2 buses=[{t.hv_bus} {t.lv_bus}] conns=[delta wye] kvs={kv} "
        f"kvas={[kva, kva]} xhl={x!r} %loadloss={r!r} ppm_antifloat=0",
    ]
    for i, row in net.line.iterrows():
        rating = min(float(row.max_i_ka) * 1e3, 1e5)
        lines.append(
            f"New Line.{i} bus1={row.from_bus} bus2={row.to_bus} phases=3 length={float(row.length_km)!r} units=km "
            f"r1={row.r_ohm_per_km} x1={row.x_ohm_per_km} r0={r0[i]} x0={x0[i]} c1=0 c0=0 normamps={rating!r}"
        )
    return "\n".join([*lines, *loads, f"Set VoltageBases={kv}", "CalcVoltageBases", "Solve", ""])
