"""Parametric programs for benchmarks and tests: linear model predictive control, and a home's current market period."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import scipy.linalg as sl

from mpo import ParametricLP, ParametricQP
from mpo.arrays import Array


def box(low: Array, high: Array) -> tuple[Array, Array]:
    """Rows ``A theta <= b`` of ``low <= theta <= high``."""
    eye = np.eye(len(low))
    return np.vstack([eye, -eye]), np.concatenate([high, -low])


def double_integrator(steps: int, *, reach: float = 10.0, state_limit: float | None = None) -> ParametricQP:
    """x' = [[1, 1], [0, 1]] x + [0, 1] u with |u| <= 1, cost x'x + 0.1 u^2, Riccati cost at the end; theta = x(0)."""
    A, B, R = np.array([[1.0, 1.0], [0.0, 1.0]]), np.array([[0.0], [1.0]]), 0.1
    end = sl.solve_discrete_are(A, B, np.eye(2), R * np.eye(1))
    free = [np.linalg.matrix_power(A, k) for k in range(1, steps + 1)]
    forced = [
        np.hstack([np.linalg.matrix_power(A, k - j) @ B if j <= k else np.zeros((2, 1)) for j in range(steps)])
        for k in range(steps)
    ]
    weights = [np.eye(2)] * (steps - 1) + [end]
    Q = R * np.eye(steps) + sum(G.T @ W @ G for G, W in zip(forced, weights, strict=True))
    C = sum((G.T @ W @ E for G, W, E in zip(forced, weights, free, strict=True)), np.zeros((steps, 2)))
    rows, b, F = np.zeros((0, steps)), np.zeros(0), np.zeros((0, 2))
    if state_limit is not None:
        G, E = np.vstack(forced), np.vstack(free)
        rows, F = np.vstack([G, -G]), np.vstack([-E, E])
        b = np.full(len(rows), state_limit)
    theta_A, theta_b = box(np.full(2, -reach), np.full(2, reach))
    one = np.ones(steps)
    return ParametricQP(Q, np.zeros(steps), C, rows, b, F, theta_A, theta_b, x_min=-one, x_max=one)


@dataclass
class Model:
    """Rows and costs by name; a term is ``(name, factor)``, of a variable or of a parameter."""

    variables: list[str]
    parameters: dict[str, tuple[float, float]]
    rows: list[tuple[dict[str, float], float, dict[str, float]]] = field(default_factory=list)
    equalities: list[tuple[dict[str, float], float, dict[str, float]]] = field(default_factory=list)
    order: list[tuple[str, str]] = field(default_factory=list)
    cost: dict[str, float] = field(default_factory=dict)
    price: list[tuple[str, str, float]] = field(default_factory=list)

    def at_most(self, terms: dict[str, float], constant: float = 0.0, **theta: float) -> None:
        """Add a row: terms <= constant + theta."""
        self.rows.append((terms, constant, theta))

    def equal(self, terms: dict[str, float], constant: float = 0.0, **theta: float) -> None:
        """Add a row: terms = constant + theta."""
        self.equalities.append((terms, constant, theta))

    def program(self, quadratic: float = 0.0, fixed: dict[str, float] | None = None) -> ParametricLP | ParametricQP:
        """The program; ``quadratic`` adds half of it times |x|^2, ``fixed`` turns parameters into constants."""
        fixed = fixed or {}
        free = [name for name in self.parameters if name not in fixed]
        low, high = (np.array([self.parameters[name][side] for name in free]) for side in (0, 1))
        theta_A, theta_b = box(low, high)
        for small, large in self.order:
            if small not in fixed and large not in fixed:
                row = np.array([(name == small) - float(name == large) for name in free])
                theta_A, theta_b = np.vstack([theta_A, row]), np.append(theta_b, 0.0)
        n = len(self.variables)
        c, C = np.array([self.cost.get(name, 0.0) for name in self.variables]), np.zeros((n, len(free)))
        for name, parameter, factor in self.price:
            if parameter in fixed:
                c[self.variables.index(name)] += factor * fixed[parameter]
            else:
                C[self.variables.index(name), free.index(parameter)] += factor
        A, b, F = self._matrices(self.rows, free, fixed)
        A_eq, b_eq, F_eq = self._matrices(self.equalities, free, fixed)
        if quadratic:
            return ParametricQP(quadratic * np.eye(n), c, C, A, b, F, theta_A, theta_b, A_eq, b_eq, F_eq)
        return ParametricLP(c, C, A, b, F, theta_A, theta_b, A_eq, b_eq, F_eq)

    def _matrices(
        self, rows: list[tuple[dict[str, float], float, dict[str, float]]], free: list[str], fixed: dict[str, float]
    ) -> tuple[Array, Array, Array]:
        A = np.array([[terms.get(name, 0.0) for name in self.variables] for terms, _, _ in rows])
        b = np.array(
            [constant + sum(theta.get(name, 0.0) * fixed[name] for name in fixed) for _, constant, theta in rows]
        )
        F = np.array([[theta.get(name, 0.0) for name in free] for _, _, theta in rows])
        return A, b, F


FIXED_PRICES = {"imp": 0.30, "exp": 0.08}
E_MIN, E_MAX, P_BATTERY, S_BATTERY, S_PV, ETA = 1.0, 9.0, 4.0, 4.0, 5.0, 0.95
FIRST_H, PERIOD_H = 10.0 / 3600.0, 0.25


def current_period(segments: int = 3, *, reduced: bool = False) -> Model:
    """10 s at power (P, Q) at the meter, then the rest of the 15 min in energy, then stored energy at its value.

    PV (polygon of its rating, |q| <= p/3), battery (polygon, losses, wear), import and export prices, a convex value of
    energy with ``segments`` slopes T between energies S. Parameters: P, Q, loads, stored energy e0, PV power and
    energy, remaining time tau, S in the right-hand side; prices and T in the cost. ``reduced`` knows only P + p_load,
    Q + q_load and e_pv - e_load, and leaves out the cost of the first 10 s, which P alone decides.
    """
    right = {
        "P": (-9.0, 9.0),
        "Q": (-5.0, 5.0),
        "e0": (E_MIN, E_MAX),
        "pv": (0.0, 5.0),
        "tau": (0.0, PERIOD_H - FIRST_H),
    }
    right |= {"e_net": (-2.5, 1.25)} if reduced else {"p_load": (0.0, 10.0), "q_load": (-2.0, 2.0)}
    right |= {} if reduced else {"e_pv": (0.0, 1.25), "e_load": (0.0, 2.5)}
    right |= {f"S{i}": (E_MIN, E_MAX) for i in range(1, segments)}
    prices = {"imp": (0.05, 0.45), "exp": (-0.05, 0.25)} | {f"T{i}": (-0.6, 0.1) for i in range(segments)}
    own = [
        "e_imp",
        "e_exp",
        "p_pv",
        "q_pv",
        "charge",
        "discharge",
        "q_b",
        "e_charge",
        "e_discharge",
        "abs_q_pv",
        "abs_q_b",
    ]
    fills = [f"fill{i}" for i in range(segments)]
    grid = [] if reduced else ["p_imp", "p_exp"]
    model = Model(grid + own + fills, right | prices)
    model.order = [("exp", "imp"), *((f"T{i}", f"T{i + 1}") for i in range(segments - 1))]
    model.order += [(f"S{i}", f"S{i + 1}") for i in range(1, segments - 1)]
    _first_interval(model, reduced)
    _rest_of_period(model, reduced)
    _stored_value(model, segments)
    for name in [*grid, "e_imp", "e_exp", "charge", "discharge", "e_charge", "e_discharge", *fills]:
        model.at_most({name: -1.0})
    return model


def _first_interval(model: Model, reduced: bool) -> None:
    """Powers of the next 10 s."""
    if reduced:
        model.equal({"p_pv": 1.0, "discharge": 1.0, "charge": -1.0}, P=1.0)
        model.equal({"q_pv": 1.0, "q_b": 1.0}, Q=1.0)
    else:
        model.equal({"p_pv": 1.0, "discharge": 1.0, "charge": -1.0}, P=1.0, p_load=1.0)
        model.equal({"p_exp": 1.0, "p_imp": -1.0}, P=1.0)
        model.equal({"q_pv": 1.0, "q_b": 1.0}, Q=1.0, q_load=1.0)
        model.price += [("p_imp", "imp", FIRST_H), ("p_exp", "exp", -FIRST_H)]
    model.at_most({"p_pv": -1.0})
    model.at_most({"p_pv": 1.0}, pv=1.0)
    model.at_most({"q_pv": 1.0, "p_pv": -1.0 / 3.0})
    model.at_most({"q_pv": -1.0, "p_pv": -1.0 / 3.0})
    half = np.arctan(1.0 / 3.0)
    for x, y, rating in _chords(S_PV, np.linspace(-half, half, 5)):
        model.at_most({"p_pv": x, "q_pv": y}, rating)
    for x, y, rating in _chords(S_BATTERY, np.linspace(0.0, 2.0 * np.pi, 9)):
        model.at_most({"discharge": x, "charge": -x, "q_b": y}, rating)
    for q in ("q_pv", "q_b"):
        model.at_most({q: 1.0, f"abs_{q}": -1.0})
        model.at_most({q: -1.0, f"abs_{q}": -1.0})
    stored = {"charge": ETA * FIRST_H, "discharge": -FIRST_H / ETA}
    model.at_most(stored, E_MAX, e0=-1.0)
    model.at_most({name: -factor for name, factor in stored.items()}, -E_MIN, e0=1.0)
    model.cost |= {"charge": 0.01 * FIRST_H, "discharge": 0.01 * FIRST_H}
    model.cost |= {"abs_q_pv": 0.005 * FIRST_H, "abs_q_b": 0.005 * 1.05 * FIRST_H}


def _rest_of_period(model: Model, reduced: bool) -> None:
    """Energies from the end of the 10 s to the end of the 15 min."""
    balance = {"e_exp": 1.0, "e_imp": -1.0, "e_discharge": -1.0, "e_charge": 1.0}
    if reduced:
        model.equal(balance, e_net=1.0)
    else:
        model.equal(balance, e_pv=1.0, e_load=-1.0)
    model.at_most({"e_charge": 1.0}, tau=P_BATTERY)
    model.at_most({"e_discharge": 1.0}, tau=P_BATTERY)
    model.cost |= {"e_charge": 0.01 * 1.05, "e_discharge": 0.01 * 1.05}
    model.price += [("e_imp", "imp", 1.0), ("e_exp", "exp", -1.0)]


def _stored_value(model: Model, segments: int) -> None:
    """Energy at the end fills the segments of the value of energy."""
    terms = {"charge": ETA * FIRST_H, "discharge": -FIRST_H / ETA, "e_charge": ETA, "e_discharge": -1.0 / ETA}
    model.equal(terms | {f"fill{i}": -1.0 for i in range(segments)}, E_MIN, e0=-1.0)
    for i in range(segments):
        high = {f"S{i + 1}": 1.0} if i + 1 < segments else {}
        low = {f"S{i}": -1.0} if i else {}
        model.at_most({f"fill{i}": 1.0}, E_MAX * (not high) - E_MIN * (not low), **high, **low)
        model.price.append((f"fill{i}", f"T{i}", 1.0))


def _chords(radius: float, angles: Array) -> list[tuple[float, float, float]]:
    """Half-planes x cos + y sin <= r of the chords between points on a circle."""
    middle, half = 0.5 * (angles[1:] + angles[:-1]), 0.5 * np.diff(angles)
    return [(float(np.cos(a)), float(np.sin(a)), float(radius * np.cos(d))) for a, d in zip(middle, half, strict=True)]
