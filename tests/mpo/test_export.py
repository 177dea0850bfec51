"""The C function compiled and compared."""

from __future__ import annotations

import ctypes
import shutil
import subprocess

import numpy as np
import pytest
from numpy.testing import assert_allclose

import mpo
from experiments.benchmarks.parametric import current_period, double_integrator
from mpo.sampling import draw

COMPILER = shutil.which("gcc") or shutil.which("cc")


@pytest.mark.skipif(COMPILER is None, reason="no C compiler")
@pytest.mark.parametrize("name", ["control", "period"])
def test_the_c_function_agrees(name, tmp_path):
    problem = double_integrator(5) if name == "control" else current_period(1).program()
    solution = mpo.solve(problem)
    source, library = tmp_path / "explicit.c", tmp_path / "explicit.so"
    solution.export_c(source, name="home_energy")
    strict = ["-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror", "-O2", "-shared", "-fPIC"]
    subprocess.run([COMPILER, *strict, str(source), "-o", str(library)], check=True)
    function = ctypes.CDLL(str(library)).home_energy
    theta = draw(solution.theta_A, solution.theta_b, 400)
    theta = np.vstack([theta, 2.0 * theta[:20]])
    answer = solution.evaluate(theta)
    assert answer.inside.any()
    state, x, value = np.zeros(len(solution.parts), np.intc), np.empty(problem.variables), np.empty(1)
    for row, inside, best, cost in zip(theta, answer.inside, answer.x, answer.value, strict=True):
        arguments = [np.ascontiguousarray(row), state, x, value]
        code = function(*(array.ctypes.data_as(ctypes.c_void_p) for array in arguments))
        assert code == (0 if inside else -1)
        if inside:
            assert_allclose(value[0], cost, rtol=1e-10, atol=1e-12)
            assert_allclose(x, best, atol=1e-8)


def test_what_cannot_be_exported(tmp_path):
    solution = mpo.solve(double_integrator(2))
    with pytest.raises(mpo.InputError, match="identifier"):
        solution.export_c(tmp_path / "x.c", name="1st")
    empty = mpo.solve(
        mpo.ParametricLP([1.0], [[0.0]], [[1.0], [-1.0]], [-1.0, 0.0], [[0.0], [0.0]], [[1.0], [-1.0]], [1, 1])
    )
    with pytest.raises(mpo.InputError, match="at least one region"):
        empty.export_c(tmp_path / "x.c")
