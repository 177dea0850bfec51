"""Prosumers that a user writes in cvxpy: any convex cost and constraints, answered by a general solver.

Slower than the built-in assets by two orders of magnitude (milliseconds for each answer), and as general as convex
programming: cones, norms, logarithms, any number of states.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Protocol, runtime_checkable

import numpy as np

from admmflex.errors import Fault, InputError, SolverError, require
from admmflex.horizon import Array, Horizon, IntArray
from admmflex.prosumers.program import AssetPlan
from admmflex.response import conic
from admmflex.response.signal import answer_each

if TYPE_CHECKING:
    import cvxpy as cp

FEASIBILITY = 1e-6  # kW, kvar, kWh: largest violation of a constraint that an answer may have


@dataclass(frozen=True)
class CvxpyModel:
    """A prosumer over a horizon, in the user's own variables.

    Args:
        p, q: affine expressions ``(K,)`` of the powers at the meter, injection positive [kW, kvar].
        cost: convex scalar [EUR for the horizon], without the tariff.
        constraints: convex.
    """

    p: cp.Expression
    q: cp.Expression
    cost: cp.Expression
    constraints: Sequence[cp.Constraint]


@runtime_checkable
class CvxpyProsumer(Protocol):
    """What a user writes: a class with these members.

    ``bus`` is an index of the pandapower network; ``import_price`` and ``export_price`` are ``(K,)`` [EUR/kWh];
    import is at least export in every step.
    """

    @property
    def name(self) -> str: ...

    @property
    def bus(self) -> int: ...

    @property
    def import_price(self) -> Array: ...

    @property
    def export_price(self) -> Array: ...

    def build(self, horizon: Horizon) -> CvxpyModel:
        """Fresh variables and expressions for this horizon."""
        ...


def cvxpy_models(prosumers: Mapping[int, CvxpyProsumer], horizon: Horizon) -> dict[int, CvxpyModel]:
    """Build the models, check that they are convex, and add the tariff to their cost.

    cost = own cost + sum_t dt[t] ((imp[t] - exp[t]) [-p[t]]+ - exp[t] p[t])

    Raises:
        InputError: everything that is wrong with every model.
    """
    models, faults = {}, list[Fault]()
    for i, prosumer in prosumers.items():
        model = prosumer.build(horizon)
        found = _faults(prosumer, model, horizon)
        faults += found
        if not found:
            models[i] = _with_tariff(prosumer, model, horizon.dt_h)
    require(faults)
    return models


def _with_tariff(prosumer: CvxpyProsumer, model: CvxpyModel, dt: Array) -> CvxpyModel:
    import cvxpy as cp

    p, q = cp.Constant(0.0) + model.p, cp.Constant(0.0) + model.q
    spread = dt * (prosumer.import_price - prosumer.export_price)
    tariff = spread @ cp.pos(-p) - (dt * prosumer.export_price) @ p
    return CvxpyModel(p, q, model.cost + tariff, tuple(model.constraints))


def _faults(prosumer: CvxpyProsumer, model: CvxpyModel, horizon: Horizon) -> list[Fault]:
    """Wrong shapes, models that are not convex, missing parameter values and a crossing tariff."""
    import cvxpy as cp

    element, found = f"cvxpy prosumer {prosumer.name!r}", []

    def fault(value: str, allowed: str, remedy: str) -> None:
        found.append(Fault(element, value, allowed, remedy))

    for name, power in (("p", model.p), ("q", model.q)):
        expression = cp.Constant(0.0) + power
        if expression.shape != (horizon.steps,):
            fault(f"{name} has shape {expression.shape}", f"({horizon.steps},)", "give one power for each step")
        elif not expression.is_affine():
            fault(f"{name} is {expression.curvature.lower()}", "affine", "make it a variable or a sum of variables")
    cost = cp.Constant(0.0) + model.cost
    if cost.shape != ():
        fault(f"cost has shape {cost.shape}", "a scalar", "sum it over the steps")
    elif not cost.is_convex():
        fault(f"cost is {cost.curvature.lower()}", "convex by the rules of cvxpy", "rewrite it with convex atoms")
    for number, constraint in enumerate(model.constraints):
        if not constraint.is_dcp():
            fault(f"constraint {number} ({constraint}) is not convex", "convex by the rules of cvxpy", "rewrite it")
    atoms = [cp.Constant(0.0) + part for part in (model.p, model.q, model.cost)]
    problem = cp.Problem(cp.Minimize(sum(cp.sum(atom) for atom in atoms)), list(model.constraints))
    if any(variable.attributes["integer"] or variable.attributes["boolean"] for variable in problem.variables()):
        fault("a variable is integer or boolean", "continuous variables", "relax it")
    unset = [parameter.name() for parameter in problem.parameters() if parameter.value is None]
    if unset:
        fault(f"parameters without a value: {', '.join(unset)}", "a value for each", "set parameter.value in build")
    for name, price in (("import_price", prosumer.import_price), ("export_price", prosumer.export_price)):
        if np.shape(price) != (horizon.steps,):
            fault(f"{name} has shape {np.shape(price)}", f"({horizon.steps},)", "give one price for each step")
            return found
    if np.any(prosumer.import_price < prosumer.export_price):
        fault("import price below export price", "import >= export in every step", "correct the tariff")
    return found


class _Asked:
    """One prosumer's problem with price, target and penalty as parameters, compiled once by cvxpy.

    min  C(v) - (dt lam)' Y + 1/2 |s sqrt(dt) Y - s sqrt(dt) z|^2    s.t.  Y = (p(v), q(v)),   s = sqrt(rho)

    Attributes:
        values, cost: the user's variables at the last answer, one after the other, and what it costs [EUR].
    """

    def __init__(self, name: str, model: CvxpyModel, horizon: Horizon) -> None:
        import cvxpy as cp

        self.name, self.model, self.dt, self.fallbacks = name, model, horizon.dt_h, 0
        shape = (2, horizon.steps)
        powers = cp.Variable(shape)
        self.linear, self.root, self.shifted = cp.Parameter(shape), cp.Parameter(nonneg=True), cp.Parameter(shape)
        self.weight = np.broadcast_to(np.sqrt(horizon.dt_h), shape)
        near = cp.sum_squares(self.root * cp.multiply(self.weight, powers) - self.shifted)
        cost = model.cost - cp.sum(cp.multiply(self.linear, powers)) + 0.5 * near
        self.problem = cp.Problem(cp.Minimize(cost), [*model.constraints, powers[0] == model.p, powers[1] == model.q])
        if not self.problem.is_dpp():
            raise InputError(
                Fault(
                    f"cvxpy prosumer {name!r}",
                    "its own parameters appear in products that cvxpy cannot compile once (not DPP)",
                    "each parameter affinely, or constants",
                    "use numbers instead of cvxpy parameters",
                )
            )
        self.variables = [v for v in self.problem.variables() if v.id != powers.id]
        self.values, self.cost = np.zeros(0), np.nan

    def answer(self, price: Array, target: Array, rho: float) -> Array:
        """The powers ``(2, K)`` that are best at a price and a target ``(2, K)``."""
        root = float(np.sqrt(rho))
        self.linear.value, self.root.value, self.shifted.value = self.dt * price, root, root * self.weight * target
        try:
            self.fallbacks += conic.solve(self.problem)
        except SolverError as error:
            raise SolverError(f"cvxpy prosumer {self.name!r}: {error}") from error
        except Exception as error:  # what a user wrote may raise anything
            raise SolverError(f"cvxpy prosumer {self.name!r}: {type(error).__name__}: {error}") from error
        self._check()
        answer = np.stack([self.model.p.value, self.model.q.value])
        self.values = np.concatenate([np.ravel(v.value, order="F") for v in self.variables] or [np.zeros(0)])
        self.cost = float(self.model.cost.value)
        return answer

    def _check(self) -> None:
        import cvxpy as cp

        status = self.problem.status
        if status in (cp.INFEASIBLE, cp.INFEASIBLE_INACCURATE, cp.UNBOUNDED, cp.UNBOUNDED_INACCURATE):
            remedy = "relax its constraints" if "infeasible" in status else "bound its powers"
            allowed = "a plan that meets all its constraints, at a finite cost"
            raise InputError(Fault(f"cvxpy prosumer {self.name!r}", status, allowed, remedy))
        worst = max((float(np.max(c.violation(), initial=0.0)) for c in self.model.constraints), default=0.0)
        if status not in (cp.OPTIMAL, cp.OPTIMAL_INACCURATE) or not worst <= FEASIBILITY:
            raise SolverError(f"cvxpy prosumer {self.name!r}: {status}, constraints violated by {worst:.1e}")

    def cost_at(self, values: Array) -> float:
        """Own cost, tariff included, at values of the user's variables [EUR]."""
        start = 0
        for v in self.variables:
            v.value = values[start : start + v.size].reshape(v.shape, order="F")
            start += v.size
        return float(self.model.cost.value)


class CustomResponse:
    """Answers of prosumers written in cvxpy; a member of the response protocol.

    Args:
        prosumers: as written by the user.
        rows: (n,) their positions in the rank's list.
        buses: (n,) positions of their buses in the network.
        horizon: K steps.

    Raises:
        InputError: models that are not convex, not DPP, of wrong shape, infeasible or unbounded.
    """

    way: ClassVar[str] = "cvxpy"

    def __init__(self, prosumers: Sequence[CvxpyProsumer], rows: IntArray, buses: IntArray, horizon: Horizon) -> None:
        self.rows, self.buses = np.asarray(rows, np.int64), np.asarray(buses, np.int64)
        models = cvxpy_models(dict(enumerate(prosumers)), horizon)
        self.asked = [_Asked(prosumer.name, models[i], horizon) for i, prosumer in enumerate(prosumers)]
        none = np.zeros((2, horizon.steps))
        for one in self.asked:
            one.answer(none, none, 1.0)

    def answer(self, price: Array, target: Array, rho: float, out: Array) -> None:
        """Answer ``price (2, n_bus, K)`` and ``target (2, n, K)``; writes its own rows of ``out (2, n, K)``."""
        answer_each([one.answer for one in self.asked], self.rows, self.buses, price, target, rho, out)

    def cost(self) -> Array:
        """Own cost of the last answers [EUR]."""
        return np.array([one.cost for one in self.asked])

    def state(self) -> dict[str, Array]:
        """The users' variables, ``(n, most variables)``, zeros where a model has fewer."""
        parts = [one.values for one in self.asked]
        values = np.zeros((len(parts), max((len(part) for part in parts), default=0)))
        for row, part in zip(values, parts, strict=True):
            row[: len(part)] = part
        return {"values": values}

    def evaluate_cost(self, p: Array, state: Mapping[str, Array]) -> Array:
        """Own cost [EUR] at (combinations of) earlier states; the powers ``p`` follow from them."""
        return np.array([one.cost_at(row) for one, row in zip(self.asked, state["values"], strict=True)])

    def warm(self) -> dict[str, Array]:
        """Nothing: every answer begins anew."""
        return {}

    def counts(self) -> dict[str, float]:
        """See ``Response.counts``."""
        return {"fallbacks": sum(one.fallbacks for one in self.asked)}

    def plans(self, state: Mapping[str, Array]) -> list[tuple[AssetPlan, ...]]:
        """Nothing: what a user's variables mean is the user's."""
        return [() for _ in self.asked]
