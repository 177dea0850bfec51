"""A vector of L numbers as a type of numba, so that kernels handle L homes with one instruction (numba, LLVM).

LLVM turns it into whatever the processor has: one AVX-512, two AVX or four SSE registers. Plain loops over a last axis
of length L are not vectorised reliably, because the compiler cannot know that buffers do not overlap.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import types
from numba.core.typing import signature
from numba.core.typing.templates import ConcreteTemplate, infer_global
from numba.extending import intrinsic, lower_builtin, models, register_model

L = 8
_VECTOR = ir.VectorType(ir.DoubleType(), L)
_FLAGS = ("contract", "nsz", "arcp", "reassoc")


class _Lanes(types.Type):
    def __init__(self) -> None:
        super().__init__(name=f"lanes{L}")


lanes = _Lanes()


@register_model(_Lanes)
class _Model(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, kind: _Lanes) -> None:
        super().__init__(manager, kind, _VECTOR)


def _wide(builder: Any, kind: types.Type, value: Any) -> Any:
    """A lanes value as it is, a number in every lane."""
    if kind == lanes:
        return value
    vector = builder.insert_element(ir.Constant(_VECTOR, ir.Undefined), value, ir.Constant(ir.IntType(32), 0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), L), [0] * L)
    return builder.shuffle_vector(vector, vector, zeros)


def _arithmetic(symbol: Any, instruction: str) -> None:
    """Make an operator work between lanes, and between lanes and a number."""
    pairs = [(lanes, lanes), (lanes, types.float64), (types.float64, lanes)]

    class Typing(ConcreteTemplate):  # type: ignore[misc]
        cases = [signature(lanes, *pair) for pair in pairs]  # noqa: RUF012

    infer_global(symbol)(Typing)
    for pair in pairs:

        def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            left, right = (_wide(builder, kind, value) for kind, value in zip(sig.args, args, strict=True))
            return getattr(builder, instruction)(left, right, flags=_FLAGS)

        lower_builtin(symbol, *pair)(lower)


_arithmetic(operator.add, "fadd")
_arithmetic(operator.iadd, "fadd")
_arithmetic(operator.sub, "fsub")
_arithmetic(operator.isub, "fsub")
_arithmetic(operator.mul, "fmul")
_arithmetic(operator.imul, "fmul")
_arithmetic(operator.truediv, "fdiv")


def _pointer(context: Any, builder: Any, kind: types.Type, array: Any, index: Any) -> Any:
    data = context.make_array(kind)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [index]), _VECTOR.as_pointer())


@intrinsic
def load(typing: Any, array: types.Array, index: types.Integer) -> tuple[Any, Callable[..., Any]]:
    """The L numbers of a flat array from index * L."""

    def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        place = builder.mul(args[1], ir.Constant(args[1].type, L))
        return builder.load(_pointer(context, builder, sig.args[0], args[0], place), align=8)

    return lanes(array, index), lower


@intrinsic
def store(typing: Any, array: types.Array, index: types.Integer, value: types.Type) -> tuple[Any, Callable[..., Any]]:
    """Write the L numbers of a flat array from index * L; a number goes to every lane."""

    def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        place = builder.mul(args[1], ir.Constant(args[1].type, L))
        vector = _wide(builder, sig.args[2], args[2])
        builder.store(vector, _pointer(context, builder, sig.args[0], args[0], place), align=8)
        return context.get_dummy_value()

    return types.void(array, index, value), lower


@intrinsic
def everywhere(typing: Any, value: types.Float) -> tuple[Any, Callable[..., Any]]:
    """A number in every lane."""

    def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return _wide(builder, sig.args[0], args[0])

    return lanes(value), lower


@intrinsic
def where(typing: Any, test: _Lanes, yes: types.Type, no: types.Type) -> tuple[Any, Callable[..., Any]]:
    """``yes`` in the lanes in which ``test`` is positive, otherwise ``no``."""

    def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        zero = ir.Constant(_VECTOR, [0.0] * L)
        sides = (_wide(builder, kind, value) for kind, value in zip(sig.args[1:], args[1:], strict=True))
        return builder.select(builder.fcmp_ordered(">", args[0], zero), *sides)

    return lanes(test, yes, no), lower


@intrinsic
def larger(typing: Any, one: _Lanes, other: _Lanes) -> tuple[Any, Callable[..., Any]]:
    """The larger of two, lane by lane."""

    def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.select(builder.fcmp_ordered(">", *args), *args)

    return lanes(one, other), lower


@intrinsic
def size(typing: Any, value: _Lanes) -> tuple[Any, Callable[..., Any]]:
    """Absolute values."""

    def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        minus = builder.fneg(args[0])
        return builder.select(builder.fcmp_ordered(">", args[0], minus), args[0], minus)

    return lanes(value), lower
