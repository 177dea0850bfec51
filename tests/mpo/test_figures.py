"""Polygons fill the parameter set once; the figure has them all."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

import mpo
from experiments.benchmarks.parametric import current_period, double_integrator
from mpo.figures import figure, polygons


def area(corners):
    x, y = corners.T
    return 0.5 * abs(x @ np.roll(y, -1) - y @ np.roll(x, -1))


def test_polygons_fill_the_parameter_set():
    solution = mpo.solve(double_integrator(3))
    pieces = polygons(solution)
    assert len(pieces) == len(solution) == 19
    assert_allclose(sum(area(corners) for corners in pieces.values()), 20.0 * 20.0, rtol=1e-9)
    for number, corners in pieces.items():
        middle = corners.mean(axis=0)
        assert solution.evaluate(middle).region == number
        inner = corners + 1e-6 * (middle - corners)
        assert (solution.evaluate(inner).region == number).all()


def test_regions_of_several_parts_are_cut_with_each_other():
    model = current_period(1)
    solution = mpo.solve(model.program())
    names = list(model.parameters)
    fixed = {"p_load": 1.0, "q_load": 0.1, "e0": 4.0, "pv": 3.0, "tau": 0.2, "e_pv": 0.5, "e_load": 0.2}
    fixed |= {"imp": 0.3, "exp": 0.08, "T0": -0.2}
    sliced = solution.slice({names.index(name): value for name, value in fixed.items()})
    pieces = polygons(sliced)
    assert len(sliced.parts) == 2
    assert 4 < len(pieces) <= len(sliced)
    for number, corners in pieces.items():
        assert sliced.evaluate(corners.mean(axis=0)).region == number
    picture = figure(sliced, names=("P [kW]", "Q [kvar]"), title="Cost of a home")
    assert len(picture.data) == 2 * len(pieces)
    assert picture.layout.xaxis.title.text == "P [kW]"


def test_other_numbers_of_parameters_are_refused():
    with pytest.raises(mpo.InputError, match="2 parameters"):
        polygons(mpo.solve(current_period(1).program()))
