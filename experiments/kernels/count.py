"""Floating-point operations of a kernel, counted while plain Python runs it: independent of any formula.

An addition, multiplication, division, root or comparison of two numbers is one operation (so is the smaller of two),
of L homes at once L. Signs, absolute values, copies, indices and loops are none.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import numpy as np
from numba.core.dispatcher import Dispatcher

from admmflex.response._lanes import L

FREE = (np.nextafter, np.isnan, np.absolute, np.negative)


class Number:
    """A number, or L of them, that counts what is done with it in ``Number.operations``."""

    operations = 0

    def __init__(self, value: Any) -> None:
        self.value = value

    def __float__(self) -> float:
        return float(self.value)

    def __neg__(self) -> Number:
        return Number(-self.value)

    def __abs__(self) -> Number:
        return Number(abs(self.value))

    def __array_ufunc__(self, work: Any, method: str, *numbers: Any) -> Number:
        Number.operations += work not in FREE
        return Number(work(*(_plain(number) for number in numbers)))


def _counting(name: str, swapped: bool) -> Callable[[Number, Any], Any]:
    work = getattr(operator, name)

    def operation(own: Number, other: Any) -> Any:
        other = other.value if isinstance(other, Number) else other
        Number.operations += max(np.size(own.value), np.size(other))
        found = work(other, own.value) if swapped else work(own.value, other)
        return found if isinstance(found, bool | np.bool_) else Number(found)

    return operation


for _name in ("add", "sub", "mul", "truediv"):
    setattr(Number, f"__{_name}__", _counting(_name, swapped=False))
    setattr(Number, f"__r{_name}__", _counting(_name, swapped=True))
for _name in ("lt", "le", "gt", "ge", "eq", "ne"):
    setattr(Number, f"__{_name}__", _counting(_name, swapped=False))


def counted(data: Any) -> Any:
    """The same arrays, or tuples of them, holding numbers that count; integers and booleans stay as they are."""
    if isinstance(data, tuple):
        parts = [counted(part) for part in data]
        return type(data)(*parts) if hasattr(data, "_fields") else tuple(parts)
    if isinstance(data, np.ndarray) and data.dtype == np.float64:
        numbers = np.empty(data.size, object)
        numbers[:] = [Number(float(value)) for value in data.ravel()]
        return numbers.reshape(data.shape)
    return Number(data) if isinstance(data, float) else data


def _load(array: Any, index: int) -> Number:
    return Number(np.array([float(one) for one in array[index * L : (index + 1) * L]]))


def _store(array: Any, index: int, value: Any) -> None:
    array[index * L : (index + 1) * L] = [Number(one) for one in np.broadcast_to(_plain(value), L)]


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, Number) else value


def _where(test: Number, yes: Any, no: Any) -> Number:
    Number.operations += L
    return Number(np.where(test.value > 0.0, _plain(yes), _plain(no)))


def _larger(one: Number, other: Number) -> Number:
    Number.operations += L
    return Number(np.maximum(one.value, _plain(other)))


LANES = {
    "load": _load,
    "store": _store,
    "where": _where,
    "larger": _larger,
    "size": abs,
    "everywhere": lambda value: Number(np.full(L, value)),
}
"""The instructions of ``admmflex.response._lanes`` in plain Python."""


@contextmanager
def interpreted(modules: Sequence[ModuleType]) -> Iterator[None]:
    """Within it, the kernels of these modules call each other in plain Python."""
    saved = [(module, dict(vars(module))) for module in modules]
    for module, names in saved:
        for name, value in names.items():
            if isinstance(value, Dispatcher):
                setattr(module, name, value.py_func)
            elif name in LANES and getattr(value, "__module__", "").endswith("_lanes"):
                setattr(module, name, LANES[name])
    try:
        yield
    finally:
        for module, names in saved:
            vars(module).update(names)


def operations(modules: Sequence[ModuleType], kernel: str, *arguments: Any) -> int:
    """Operations of ``kernel`` of the first of the modules with these arguments, which are copied."""
    given = [counted(argument) for argument in arguments]
    with interpreted(modules), np.errstate(all="ignore"):
        Number.operations = 0
        getattr(modules[0], kernel)(*given)
    return Number.operations
