"""The program of a period: parameters that are tied to others, and the order of names."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from admmflex.prosumers.period import Reactive, period_program
from mpo.certify import direct_value
from mpo.sampling import draw
from tests.admmflex.prosumers.test_offline import BATTERY, SHAPE, TIED, ranges

DISC = Reactive(0.01, bounded=True, edges=((1.4, -1.0), (1.4, 1.0)))
SHAPES = {
    "plant and battery": SHAPE,
    "reactive power": replace(SHAPE, storages=(replace(BATTERY, reactive=DISC),)),
    "charger": replace(SHAPE, storages=(replace(BATTERY, gives=False),)),
    "two batteries": replace(SHAPE, storages=(BATTERY, BATTERY)),
}


@pytest.mark.parametrize("name", SHAPES)
def test_names_come_in_the_order_of_the_program(name):
    shape = SHAPES[name]
    program = period_program(shape, ranges(shape))
    assert program.parameters == len(shape.parameters())
    assert program.variables == len(shape.variables())
    assert shape.parameters()[:2] == ("p", "q")
    assert shape.reactive == (name == "reactive power")
    priced = np.flatnonzero(program.C.any(axis=0))
    assert {shape.parameters()[i] for i in priced} == {
        one for one in shape.parameters() if one in ("imp", "exp") or one.startswith("slope")
    }


def test_tied_parameters_are_what_they_are_tied_to():
    """The same value as the whole program where its parameters are constants and multiples of tau."""
    whole, left = period_program(SHAPE, ranges()), ranges(tied=TIED)
    program, names = period_program(SHAPE, left, TIED), list(left)
    finite = 0
    for theta in draw(program.theta_A, program.theta_b, 60):
        at = dict(zip(names, theta, strict=True)) | {"": 1.0}
        full = [sum(f * at[part] for part, f in TIED.get(name, {name: 1.0}).items()) for name in SHAPE.parameters()]
        expected = direct_value(whole, np.array(full))
        assert_allclose(direct_value(program, theta), expected, atol=1e-9)
        finite += np.isfinite(expected)
    assert finite > 20
