"""The projection kernels against nonnegative least squares and a conic solver."""

from __future__ import annotations

from dataclasses import dataclass

import cvxpy as cp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from admmflex.dso._project import Products, nonnegative_qp, project_some, worst_per_group
from admmflex.horizon import Array, BoolArray


@dataclass
class Rows:
    """Rows ``value + gradient (z - origin) <= 0`` of one step that some point meets, and what is to be projected."""

    gradient: Array
    value: Array
    origin: Array
    target: Array
    mobility: Array

    @staticmethod
    def draw(seed: int, m: int = 8, n: int = 6) -> Rows:
        """Some rows are equal, parallel or zero; some directions cannot move; rows differ in scale by 1e4."""
        rng = np.random.default_rng(seed)
        gradient = rng.normal(size=(m, n)) * 10.0 ** rng.uniform(-4, 0, (m, 1))
        gradient[rng.random((m, n)) < 0.3] = 0.0
        mobility = rng.uniform(1, 100, n)
        mobility[rng.random(n) < 0.2] = 0.0
        origin, target = rng.normal(size=(2, n)) * 10
        within = np.where(mobility > 0, origin + 3 * rng.normal(size=n), target)
        slack = rng.exponential(size=m) * np.abs(gradient).sum(axis=1) * rng.integers(0, 2, m)
        if seed % 3 == 0:
            gradient[-1], slack[-1] = gradient[0], slack[0]
        if seed % 3 == 1:
            gradient[-1], slack[-1] = 5.0 * gradient[0], 0.4 * slack[0]
            gradient[-2], slack[-2] = 0.01 * gradient[0], 0.001 * slack[0]
        return Rows(gradient, -slack - gradient @ (within - origin), origin, target, mobility)

    @property
    def gram(self) -> Array:
        return np.asarray((self.gradient * self.mobility) @ self.gradient.T)

    @property
    def gap(self) -> Array:
        return self.value + self.gradient @ (self.target - self.origin)

    @property
    def scale(self) -> Array:
        return np.asarray(np.maximum(np.abs(self.gradient).max(axis=1), 1e-12))

    @property
    def movable(self) -> BoolArray:
        return self.mobility > 0

    def project(self, nu: Array) -> tuple[Array, Array, int]:
        point, price = np.empty((2, 1, len(self.target)))
        first = np.array([0, len(self.value)])
        rows = (np.ascontiguousarray(self.gradient), self.value, self.origin[None], self.target[None])
        unfinished = project_some(
            np.arange(1), first, *rows, self.mobility[None], nu, point, price, Products.room(1, len(nu))
        )
        return point[0], price[0], unfinished

    def direct(self) -> Array:
        """The same projection by an interior point on scaled rows."""
        z, free = cp.Variable(len(self.target)), self.movable
        away = cp.sum_squares((z - self.target)[free] / np.sqrt(2 * self.mobility[free]))
        rows = (self.value + self.gradient @ (z - self.origin)) / self.scale
        fixed = [] if free.all() else [z[~free] == self.target[~free]]
        problem = cp.Problem(cp.Minimize(away), [rows <= 0, *fixed])
        problem.solve(cp.CLARABEL, tol_gap_abs=1e-13, tol_gap_rel=1e-13, tol_feas=1e-13, max_iter=500)
        return np.asarray(z.value)


def assert_kkt(rows: Rows, nu: Array) -> None:
    """nu >= 0, G nu - gap >= 0 and one of them zero, each relative to the effect of one kilowatt."""
    left = (rows.gram @ nu - rows.gap) / rows.scale
    reach = 1e-7 * (1.0 + np.abs(rows.gap / rows.scale).max())
    assert nu.min() >= 0.0
    assert left.min() >= -reach
    assert np.abs(nu * rows.scale * left).max() <= reach * (1.0 + (nu * rows.scale).max())


@pytest.mark.parametrize("start", ["cold", "wrong", "all"])
def test_multipliers_are_optimal_from_any_start(start: str) -> None:
    for seed in range(120):
        rows, rng = Rows.draw(seed), np.random.default_rng(seed)
        wrong = rng.integers(0, 2, 8) * rng.exponential(size=8)
        nu = {"cold": np.zeros(8), "wrong": wrong, "all": np.ones(8)}[start]
        assert nonnegative_qp(rows.gram, rows.gap, nu), f"seed {seed}"
        assert_kkt(rows, nu)


def test_the_solution_is_its_own_warm_start() -> None:
    for seed in range(30):
        rows, nu = Rows.draw(seed), np.zeros(8)
        nonnegative_qp(rows.gram, rows.gap, nu)
        again = nu.copy()
        assert nonnegative_qp(rows.gram, rows.gap, again)
        assert_allclose(rows.gradient.T @ again, rows.gradient.T @ nu, atol=1e-9 * (1 + np.abs(nu).max()))


@pytest.mark.parametrize("seed", range(24))
def test_the_projection_agrees_with_an_interior_point(seed: int) -> None:
    rows, nu = Rows.draw(seed), np.zeros(8)
    point, price, unfinished = rows.project(nu)
    assert unfinished == 0
    assert_allclose(point, rows.direct(), atol=2e-5)
    assert_allclose(price, -rows.gradient.T @ nu, atol=1e-12 * (1 + np.abs(price).max()))
    assert_allclose(point, rows.target + rows.mobility * price, atol=1e-9)


def test_of_parallel_rows_the_tighter_one_counts_whatever_their_scale() -> None:
    """One kilowatt moves the first row five times as much, but the second asks for twice as many kilowatts."""
    rows = Rows(
        np.array([[0.005, 0.0], [0.001, 0.0]]), np.array([0.05, 0.02]), np.zeros(2), np.zeros(2), np.array([100.0, 0.0])
    )
    point, _, unfinished = rows.project(np.zeros(2))
    assert unfinished == 0
    assert_allclose(point, [-20.0, 0.0], rtol=1e-9)


def test_rows_that_no_point_meets_end_in_time_with_finite_prices() -> None:
    rows = Rows(np.array([[1.0], [-1.0]]), np.array([1.0, 1.0]), np.zeros(1), np.zeros(1), np.ones(1))
    point, price, _ = rows.project(np.zeros(2))
    assert np.isfinite(point).all()
    assert np.isfinite(price).all()


def test_nothing_moves_where_nobody_can() -> None:
    rows = Rows.draw(5)
    rows.mobility[:] = 0.0
    point, price, _ = rows.project(np.zeros(8))
    assert_allclose(point, rows.target)
    assert not price.any()


def test_steps_do_not_mix() -> None:
    """Rows of many steps in one call give what one call for each step gives; a step may have no rows."""
    drawn = [Rows.draw(seed) for seed in range(6)]
    first = np.array([0, 8, 8, 16, 24, 24, 32, 40, 48])
    at = [0, 2, 3, 5, 6, 7]
    origin, target, mobility = np.zeros((3, 8, 6))
    for t, rows in zip(at, drawn, strict=True):
        origin[t], target[t], mobility[t] = rows.origin, rows.target, rows.mobility
    target[1] = target[4] = 7.0
    point, price = np.empty((2, 8, 6))
    gradient, value = np.concatenate([r.gradient for r in drawn]), np.concatenate([r.value for r in drawn])
    given = first, gradient, value, origin, target, mobility
    project_some(np.arange(8), *given, np.zeros(48), point, price, Products.room(8, 10))
    for t, rows in zip(at, drawn, strict=True):
        alone, own_price, _ = rows.project(np.zeros(8))
        assert_allclose(point[t], alone, atol=1e-12)
        assert_allclose(price[t], own_price, atol=1e-12)
    assert_allclose(point[[1, 4]], 7.0)
    assert not price[[1, 4]].any()


def test_the_worst_of_each_group_is_found_in_every_step() -> None:
    rng = np.random.default_rng(0)
    excess, group = rng.normal(size=(12, 7)), rng.integers(0, 4, 12)
    excess[3, 2] = np.nan
    steps, rows = worst_per_group(excess, group, 5, 0.5)
    found = set(zip(steps.tolist(), rows.tolist(), strict=True))
    expected = set()
    for t in range(7):
        for g in range(5):
            members = [i for i in np.flatnonzero(group == g) if excess[i, t] > 0.5]
            if members:
                expected.add((t, int(max(members, key=lambda i: excess[i, t]))))
    assert found == expected


def test_products_of_rows_that_were_there_before_are_used_again() -> None:
    """Rows that come in three calls, more than are multiplied at once, give what they give in one."""
    rng = np.random.default_rng(4)
    gradient, target, mobility = rng.normal(size=(70, 9)), rng.normal(size=9) * 3, np.ones(9)
    value = -rng.uniform(0.1, 1.0, 70)
    fixed = np.zeros((1, 9)), target[None], mobility[None]
    point, price, again, again_price = np.empty((4, 1, 9))
    products, nu = Products.room(1, 70), np.zeros(70)
    for size in (20, 21, 70):
        rows = np.array([0, size]), gradient[:size].copy(), value[:size].copy()
        project_some(np.arange(1), *rows, *fixed, nu[:size], point, price, products)
    project_some(np.arange(1), *rows, *fixed, np.zeros(70), again, again_price, Products.room(1, 70))
    assert_allclose(point, again, atol=1e-10)
    assert (nu > 0).any()
