"""Array types and frozen arrays."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
KeyArray = NDArray[np.uint64]
NumberArray = NDArray[np.int32]
StateArray = NDArray[np.int8]

Scalar = TypeVar("Scalar", bound=np.generic)


def freeze(array: NDArray[Scalar]) -> NDArray[Scalar]:
    """The array made read-only; copied first when it does not own its data or is not C-contiguous."""
    if array.base is not None or not array.flags.c_contiguous:
        array = array.copy(order="C")
    array.flags.writeable = False
    return array
