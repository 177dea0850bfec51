"""What export limits do in OpenDSS, an independent simulator, on scenarios that did not set them."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from admmflex.errors import Fault, InputError, require
from admmflex.export_limits.customers import Customers
from admmflex.export_limits.scenarios import Scenarios
from admmflex.export_limits.search import pv_power
from admmflex.horizon import Array, BoolArray, IntArray

BELIEVED = (0.5, 1.5)
"""Voltages [pu] outside of which a solution counts as none: OpenDSS says converged at 0.05 pu as well."""
TOLERANCE = 1e-8
_INJECTIONS = ("load.", "generator.", "pvsystem.")


@dataclass(frozen=True, eq=False)
class Simulated:
    """N scenarios of K steps in OpenDSS; NaN where it has no solution that can be believed (``lost``).

    Args:
        lost: (N, K).
        high, low: (N, K) highest and lowest phase-to-neutral voltage of all buses with customers [pu].
        v: (N, n, K) voltage of each customer, the highest of its phases [pu].
        loading: (N, K) highest current over rating of the monitored elements; 0 without any.
        pv_kw, loss_kw, export_kw: (N, K) PV made, losses, power given to the grid above (negative: taken).
    """

    lost: BoolArray
    high: Array
    low: Array
    v: Array
    loading: Array
    pv_kw: Array
    loss_kw: Array
    export_kw: Array

    def violated(self, v_min: float, v_max: float, margin: float = 1e-6) -> BoolArray:
        """(N, K) a voltage outside the band, a monitored current above its rating, or no solution."""
        voltage = (self.high > v_max + margin) | (self.low < v_min - margin)
        broken: BoolArray = self.lost | voltage | (self.loading > 1.0 + margin)
        return broken


class Simulator:
    """A feeder in OpenDSS with a constant power for every bus and phase that has customers.

    Loads, generators and PV that stand in the script are switched off. Powers stay constant at any voltage (vminpu 0.1,
    vmaxpu 2): by default OpenDSS turns loads into impedances above 1.05 pu.

    Args:
        circuit: path of a script, or its text; it must set DefaultBaseFrequency before New Circuit unless it is 60 Hz.
        customers: buses are known by the names of ``customers.network``.
        ratings: current [A] that elements may carry at one of their ends: {"Line.LINE1": (1, 250.0)}.

    Raises:
        InputError: dss-python is not installed; OpenDSS refuses the script, or misses buses or elements.
    """

    def __init__(
        self, circuit: Path | str, customers: Customers, ratings: Mapping[str, tuple[int, float]] | None = None
    ) -> None:
        self.customers = customers
        try:
            from dss import dss
        except ImportError as error:
            remedy = "pip install 'admmflex[bench]'"
            raise InputError(Fault("OpenDSS", "dss-python is not installed", "dss-python", remedy)) from error
        self._dss: Any = dss
        self._open(circuit)
        self._circuit = dss.ActiveCircuit
        present = {name.lower() for name in self._circuit.AllBusNames}
        at = customers.at
        names = [customers.network.bus_names[i] for i in at]
        missing = [name for name in names if name.lower() not in present]
        allowed = "a bus of the OpenDSS circuit"
        require([Fault(f"bus {name!r}", "not in the circuit", allowed, "use the same feeder") for name in missing])
        self._row, self._phase = np.nonzero(customers.by_bus(np.ones((customers.n, 1)))[..., 0])
        self._place(names)
        self._ratings = dict(ratings or {})
        known = {name.lower() for name in self._circuit.AllElementNames}
        unknown = [name for name in self._ratings if name.lower() not in known]
        require(
            [Fault(f"element {name!r}", "not in the circuit", "an element", "correct the name") for name in unknown]
        )

    def _open(self, circuit: Path | str) -> None:
        """Compile the script; OpenDSS changes the working folder, and keeps the base frequency of earlier circuits."""
        text, here = self._dss.Text, os.getcwd()
        try:
            text.Command = "Clear"
            text.Command = "Set DefaultBaseFrequency=60"
            if isinstance(circuit, Path):
                text.Command = f'Redirect "{circuit.resolve()}"'
            else:
                with tempfile.TemporaryDirectory() as folder:
                    path = Path(folder) / "feeder.dss"
                    path.write_text(circuit, encoding="utf-8")
                    text.Command = f'Redirect "{path}"'
                    os.chdir(here)
        except self._dss_error as error:
            what = f"refuses the script: {str(error).splitlines()[0]}"
            raise InputError(Fault("OpenDSS", what, "a script that it can read", "correct the script")) from error
        finally:
            os.chdir(here)

    @property
    def _dss_error(self) -> type[Exception]:
        from dss import DSSException

        error: type[Exception] = DSSException
        return error

    def _place(self, names: list[str]) -> None:
        """Switch off what stands there, add a load per bus and phase, and learn where voltages are reported."""
        text, network = self._dss.Text, self.customers.network
        for element in self._circuit.AllElementNames:
            if element.lower().startswith(_INJECTIONS):
                text.Command = f"Disable {element}"
        wires = network.wires[self.customers.at]
        own = []
        for m, (row, f) in enumerate(zip(self._row, self._phase, strict=True)):
            kv = network.base_kv[self.customers.at[row]] / np.sqrt(3.0)
            back = ".4" if network.w == 4 and wires[row, 3] else ""
            text.Command = (
                f"New Load.export_limit_{m} phases=1 bus1={names[row]}.{f + 1}{back} kv={float(kv)!r} kw=1 kvar=0 "
                "model=1 vminpu=0.1 vmaxpu=2 vlowpu=0.05"
            )
            own.append(f"export_limit_{m}")
        text.Command = f"Set Tolerance={TOLERANCE} MaxIterations=100 ControlMode=off Mode=snapshot"
        loads = self._circuit.Loads
        order = {name.lower(): i + 1 for i, name in enumerate(loads.AllNames)}
        self._load = [order[name] for name in own]
        column = {name.lower(): i for i, name in enumerate(self._circuit.AllNodeNames)}
        none = len(column)
        at = [[column.get(f"{name.lower()}.{node}", none) for node in (1, 2, 3, 4)] for name in names]
        self._node: IntArray = np.array(at)
        self._base: Array = network.base_kv[self.customers.at] * 1e3 / np.sqrt(3.0)

    def command(self, text: str) -> None:
        """Give OpenDSS a command, such as ``BatchEdit Load..* vmaxpu=1.05`` for its own behaviour of loads."""
        self._dss.Text.Command = text

    @property
    def frequency(self) -> float:
        """Base frequency of the circuit [Hz]."""
        return float(self._circuit.Solution.Frequency)

    def flow(self, p: Array, q: Array) -> tuple[Array, Array, Array]:
        """Voltages to neutral (L, 3, C) [pu], losses [kW] and loading (C,) of injections (L, 3, C) [kW, kvar].

        NaN on missing phases, and in steps that did not converge or whose voltages are outside BELIEVED.
        """
        kw, kvar = -p[self._row, self._phase].T, -q[self._row, self._phase].T
        count = len(kw)
        u = np.full((count, len(self._node), 3), np.nan)
        loss, loading = np.full(count, np.nan), np.full(count, np.nan)
        loads, solution = self._circuit.Loads, self._circuit.Solution
        has = self.customers.network.wires[self.customers.at, :3]
        for k in range(count):
            for i, active, reactive in zip(self._load, kw[k], kvar[k], strict=True):
                loads.idx = i
                loads.kW, loads.kvar = active, reactive
            solution.Solve()
            found = self._voltages()
            believed = ~has | ((found > BELIEVED[0]) & (found < BELIEVED[1]))
            if solution.Converged and believed.all():
                u[k], loss[k], loading[k] = found, self._circuit.Losses[0] / 1e3, self._loading()
        return u.transpose(1, 2, 0), loss, loading

    def _voltages(self) -> Array:
        volts = np.append(np.asarray(self._circuit.AllBusVolts).view(np.complex128), 0.0)
        size = np.abs(volts[self._node[:, :3]] - volts[self._node[:, 3:]]) / self._base[:, None]
        return np.where(self.customers.network.wires[self.customers.at, :3], size, np.nan)

    def _loading(self) -> float:
        worst = 0.0
        for name, (end, rating) in self._ratings.items():
            self._circuit.SetActiveElement(name)
            element = self._circuit.ActiveCktElement
            size = np.asarray(element.CurrentsMagAng)[0::2].reshape(element.NumTerminals, -1)
            worst = max(worst, float(size[end - 1, :3].max()) / rating)
        return worst


def simulate(
    simulator: Simulator,
    scenarios: Scenarios,
    xi: Array | None = None,
    *,
    known: Simulated | None = None,
    observe: Callable[[int, int], None] | None = None,
) -> Simulated:
    """Every scenario under uniform limits xi (K,) of all of them, or without limits.

    Args:
        simulator: the feeder.
        scenarios: N of its customers.
        xi: share of the ratings that may be exported, by step; None for no limit.
        known: the same scenarios without limits: steps that the limits leave as they are need no new solution.
        observe: told how many scenarios are done, and of how many.
    """
    count, n, steps = scenarios.shape
    who = simulator.customers
    wanted = scenarios.avail if xi is None else pv_power(scenarios, xi * who.rating_kw[:, None])
    out = _copy(known) if known is not None else _nothing(count, n, steps)
    connected = np.where(who.share > 0.0, 1.0, np.nan)[:, :, None]
    for s in range(count):
        changed = (wanted[s] != scenarios.avail[s]).any(axis=0)
        some = np.arange(steps) if known is None else np.flatnonzero(changed)
        p = wanted[s][:, some] - scenarios.load_p[s][:, some]
        u, loss, loading = simulator.flow(who.by_bus(p), who.by_bus(-scenarios.load_q[s][:, some]))
        with np.errstate(invalid="ignore"):
            out.high[s, some], out.low[s, some] = np.fmax.reduce(u, (0, 1)), np.fmin.reduce(u, (0, 1))
            out.v[s][:, some] = np.fmax.reduce(u[who.row] * connected, 1)
        out.lost[s, some], out.loss_kw[s, some], out.loading[s, some] = np.isnan(loss), loss, loading
        out.export_kw[s, some] = p.sum(axis=0) - loss
        out.pv_kw[s] = wanted[s].sum(axis=0)
        if observe is not None:
            observe(s + 1, count)
    return out


def _copy(known: Simulated) -> Simulated:
    return Simulated(**{each.name: getattr(known, each.name).copy() for each in fields(known)})


def _nothing(count: int, n: int, steps: int) -> Simulated:
    numbers = {each.name: np.full((count, steps), np.nan) for each in fields(Simulated)}
    return Simulated(**numbers | {"lost": np.ones((count, steps), np.bool_), "v": np.full((count, n, steps), np.nan)})
