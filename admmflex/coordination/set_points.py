"""The central step of the cost-chart scheme: powers at all points of connection at least cost.

    min  sum_j f_j(p_j, q_j) + price_loss * losses    s.t. AC power flow, voltages, currents, ratings of transformers

"linear" follows linearisations at AC operating points and keeps its working set from call to call; its
optimum is a local one. "cone" solves the second-order cone relaxation, whose optimum bounds the cost from below: where
an AC power flow of its powers meets the limits at that cost, they are proven to be the global optimum; elsewhere (an
upper voltage limit that binds makes fictitious losses worth while) the powers found with the lossless voltage bound
are where the linearisations begin. "auto" is "cone" at the first call, then "linear", and "cone" again when that
does not settle.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

import grid
from admmflex.coordination.cone import ConeAnswer, ConeProgram
from admmflex.coordination.linear_steps import LinearSteps, Stop
from admmflex.dso import AcCheck
from admmflex.dso.room import full_feeders
from admmflex.errors import Fault, SolverError, require
from admmflex.horizon import Array, BoolArray
from admmflex.prosumers.chart import Charts, empty_polygons
from grid.branchflow import BranchFlow
from grid.limits import Limits
from grid.network import Network

Way = Literal["auto", "linear", "cone"]
Status = Literal["optimal", "feasible", "infeasible", "not_converged"]


@dataclass(frozen=True)
class StepSettings:
    """How the central step is solved and when it is good enough.

    Args:
        way: "auto", "linear" or "cone".
        violation: largest excess over a limit in the AC power flow [pu, or fraction of the rating].
        gap_kw: accuracy of the cost, as the cost of this power at the steepest slope of any chart.
        base_kva: unit of power inside the programs.
    """

    way: Way = "auto"
    violation: float = 1e-6
    gap_kw: float = 1e-3
    base_kva: float = 100.0


@dataclass(frozen=True, eq=False)
class SetPoints:
    """Powers of J charts and what the AC power flow says to them.

    Attributes:
        status: "optimal" (the global optimum when ``way`` is "cone", else a local one); "feasible" (meets the limits,
            nothing is known of better ones); "infeasible" (proven); "not_converged" (breaks limits, or unsettled).
        way: how these powers were found; "guarded" is the cone with the lossless voltage bound.
        p, q: (J,) [kW, kvar]; NaN when infeasible.
        cost, costs: sum with losses, and of each chart (J,), in the unit of the charts.
        losses_kw: in the AC power flow.
        price: (2, n) worth of one more kW and kvar at every bus, in the unit of the charts.
        voltage_excess_pu, loading_excess: largest in the AC power flow, at least 0; infinite without a solution.
        full: (n,) buses of feeders that inject and are close to a limit.
        bound: no powers cost less; -inf when the cone was not asked.
        surplus_kw: fictitious losses of the cone, NaN when it was not asked; well above zero = not tight.
    """

    status: Status
    way: Literal["linear", "cone", "guarded"]
    p: Array
    q: Array
    cost: float
    costs: Array
    losses_kw: float
    price: Array
    voltage_excess_pu: float
    loading_excess: float
    full: BoolArray
    bound: float = -np.inf
    surplus_kw: float = np.nan

    @property
    def gap(self) -> float:
        """How much less the global optimum may cost."""
        return self.cost - self.bound

    def require(self) -> SetPoints:
        """Itself when optimal.

        Raises:
            SolverError: any other status.
        """
        if self.status != "optimal":
            excess = f"{self.voltage_excess_pu:.2g} pu, loading {self.loading_excess:.2g} above the limits"
            raise SolverError(f"central step: {self.status} ({excess})")
        return self


class CentralStep:
    """One grid, called again and again with charts; what depends on their shapes is built when those change.

    Args:
        network, limits: a radial grid.
        price_loss: cost of 1 kW of losses for the period of a step, in the unit of the charts.

    Raises:
        InputError: a meshed grid, a negative price, settings out of range.
    """

    def __init__(
        self, network: Network, limits: Limits, price_loss: float, settings: StepSettings | None = None
    ) -> None:
        self.settings = settings or StepSettings()
        require(_faults(price_loss, self.settings))
        self.network, self.limits, self.price_loss = network, limits, price_loss
        self.model = BranchFlow.of(network, self.settings.base_kva)
        self.charts: Charts | None = None
        self._steps: LinearSteps | None = None
        self._cones: dict[bool, ConeProgram] = {}

    def solve(self, charts: Charts) -> SetPoints:
        """Set-points for these charts.

        Raises:
            InputError: buses that the grid does not have, charts whose polygon is empty.
            SolverError: a solver gave up on a problem that has a solution.
        """
        beyond = np.flatnonzero(charts.bus >= self.network.n)
        allowed, remedy = f"1 to {self.network.n - 1}", "correct the bus"
        require([Fault(f"chart {j}", f"at bus position {charts.bus[j]}", allowed, remedy) for j in beyond])
        if self.charts is None or not self.charts.same_shape(charts):
            self._steps, self._cones = None, {}
        self.charts = charts
        try:
            if self.settings.way == "cone" or (self.settings.way == "auto" and self._steps is None):
                return self._by_cone(charts)
            found = self._by_steps(charts)
            if found.status == "optimal" or self.settings.way == "linear":
                return found
            return _better(found, self._by_cone(charts))
        except SolverError:
            require(empty_polygons(charts.box()))
            raise

    def _by_cone(self, charts: Charts) -> SetPoints:
        """The relaxation when it is exact; otherwise linear steps from where the lossless voltage bound leads."""
        plain = self._cone(charts, guarded=False)
        if plain.p is None or plain.q is None:
            require(empty_polygons(charts.box()))
            return self._nothing(charts, plain)
        found = self._judged(charts, (plain.p, plain.q), plain, "cone", plain.price)
        if found.status == "feasible" and found.gap <= self._tolerance(charts):
            self._linear(charts).x = self._linear(charts).sums(np.concatenate([plain.p, plain.q]))
            return _with_status(found, "optimal")
        guarded = self._cone(charts, guarded=True)
        start = None
        best = found
        if guarded.p is not None and guarded.q is not None:
            start = guarded.p, guarded.q
            best = _better(self._judged(charts, start, plain, "guarded", guarded.price), found)
        return _better(self._by_steps(charts, start, plain), best)

    def _by_steps(
        self, charts: Charts, start: tuple[Array, Array] | None = None, relaxed: ConeAnswer | None = None
    ) -> SetPoints:
        steps = self._linear(charts)
        stop = Stop(self.settings.violation, self._tolerance(charts))
        sums = None if start is None else steps.sums(np.concatenate(start))
        answer = steps.solve(charts, stop, sums)
        found = self._judged(charts, (answer.p, answer.q), relaxed, "linear", answer.price)
        return _with_status(found, "optimal" if answer.settled and found.status == "feasible" else found.status)

    def _linear(self, charts: Charts) -> LinearSteps:
        if self._steps is None:
            self._steps = LinearSteps(self.model, self.limits, charts, self.price_loss)
        return self._steps

    def _cone(self, charts: Charts, *, guarded: bool) -> ConeAnswer:
        if guarded not in self._cones:
            self._cones[guarded] = ConeProgram(self.model, self.limits, charts, self.price_loss, guarded=guarded)
        return self._cones[guarded].solve(charts)

    def _tolerance(self, charts: Charts) -> float:
        return self.settings.gap_kw * charts.steepest

    def _judged(
        self,
        charts: Charts,
        powers: tuple[Array, Array],
        relaxed: ConeAnswer | None,
        way: Literal["linear", "cone", "guarded"],
        price: Array,
    ) -> SetPoints:
        """What an AC power flow says: "feasible" or "not_converged"."""
        p, q = powers
        injected = np.zeros((2, self.network.n, 1))
        np.add.at(injected[0, :, 0], charts.bus, p)
        np.add.at(injected[1, :, 0], charts.bus, q)
        flow = grid.power_flow(self.network, *injected)
        voltage, loading = AcCheck.of(self.limits, flow).worst.tolist()
        losses = float(flow.loss_kw[0]) if flow.converged.all() else np.inf
        costs = charts.costs(p, q)
        kept = max(voltage, loading) <= self.settings.violation
        return SetPoints(
            status="feasible" if kept and charts.outside(p, q) <= self.settings.gap_kw else "not_converged",
            way=way,
            p=p,
            q=q,
            cost=float(costs.sum() + (self.price_loss * losses if self.price_loss else 0.0)),
            costs=costs,
            losses_kw=losses,
            price=price,
            voltage_excess_pu=voltage,
            loading_excess=loading,
            full=full_feeders(self.limits, injected[0, :, 0], flow.v[:, 0]),
            bound=relaxed.value if relaxed else -np.inf,
            surplus_kw=relaxed.surplus_kw if relaxed else np.nan,
        )

    def _nothing(self, charts: Charts, relaxed: ConeAnswer) -> SetPoints:
        lost = np.full(len(charts), np.nan)
        return SetPoints(
            "infeasible",
            "cone",
            lost,
            lost,
            np.inf,
            lost,
            np.nan,
            relaxed.price,
            np.inf,
            np.inf,
            np.zeros(self.network.n, np.bool_),
            bound=np.inf,
        )


_RANK = {"infeasible": 3, "optimal": 2, "feasible": 1, "not_converged": 0}


def _better(a: SetPoints, b: SetPoints) -> SetPoints:
    """The one that says more; the cheaper of two that meet the limits, the milder of two that do not."""
    if a.status != b.status:
        return max(a, b, key=lambda one: _RANK[one.status])
    if a.status == "not_converged":
        return min(a, b, key=lambda one: max(one.voltage_excess_pu, one.loading_excess))
    return min(a, b, key=lambda one: one.cost)


def _with_status(found: SetPoints, status: Status) -> SetPoints:
    return replace(found, status=status)


def _faults(price_loss: float, settings: StepSettings) -> list[Fault]:
    faults = []
    if not 0.0 <= price_loss < np.inf:
        faults.append(Fault("central step", f"price_loss = {price_loss}", "at least 0", "correct the price of losses"))
    for name in ("violation", "gap_kw", "base_kva"):
        value = getattr(settings, name)
        if not 0.0 < value < np.inf:
            faults.append(Fault("central step", f"{name} = {value}", "> 0", "correct the setting"))
    if settings.way not in ("auto", "linear", "cone"):
        faults.append(Fault("central step", f"way = {settings.way!r}", "'auto', 'linear' or 'cone'", "choose one"))
    return faults
