"""What one core can do: floating-point operations, bytes from every level of memory, cycles."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numba as nb
import numpy as np

from admmflex.horizon import Array

CACHES = Path("/sys/devices/system/cpu/cpu0/cache")
USUAL = {"L1": 32 << 10, "L2": 512 << 10, "L3": 8 << 20}  # bytes, where the system does not tell
DRAM = "DRAM"
TERMS = 8  # of the polynomial whose evaluation shows the peak
BEST_OF = 9


@dataclass(frozen=True)
class Machine:
    """Limits of one core.

    peak: multiplications and additions per second, fused. size, bandwidth: of every level of memory, the fastest
    first [bytes, bytes/s]; bandwidth is that of a = b + s c. hertz: cycles per second under load.
    """

    peak: float
    size: dict[str, float]
    bandwidth: dict[str, float]
    hertz: float

    def level(self, working_set: float) -> str:
        """The fastest level that holds so many bytes."""
        return next(name for name, size in self.size.items() if working_set <= size)

    def bound(self, intensity: float, working_set: float) -> float:
        """Operations per second at most, at so many operations per byte: the roofline."""
        return min(self.peak, intensity * self.bandwidth[self.level(working_set)])


@nb.njit(cache=True, fastmath=True)
def _polynomial(x: Array, turns: int) -> None:
    """Replace x by a polynomial of it, ``turns`` times: 2 TERMS operations per number and nothing to wait for."""
    for _ in range(turns):
        for i in range(len(x)):
            r = x[i]
            s = 1.0
            for _ in range(TERMS):
                s = s * r + 0.5
            x[i] = s * 1e-6


@nb.njit(cache=True, fastmath=True)
def _triad(a: Array, b: Array, c: Array, turns: int) -> None:
    for k in range(turns):
        s = 1.0 + k
        for i in range(len(a)):
            a[i] = b[i] + s * c[i]


@nb.njit(cache=True)
def _shifts(turns: int) -> np.uint64:
    """Six instructions of one cycle each per turn, every one of which waits for the one before."""
    x = np.uint64(88172645463325252)
    for _ in range(turns):
        x ^= x << np.uint64(13)
        x ^= x >> np.uint64(7)
        x ^= x << np.uint64(17)
    return x


def best_time(work: Callable[[], object]) -> float:
    """Least processor seconds of several calls, after one that does not count."""
    work()
    seconds = []
    for _ in range(BEST_OF):
        start = time.thread_time()
        work()
        seconds.append(time.thread_time() - start)
    return min(seconds)


def cache_sizes() -> dict[str, float]:
    """Bytes of the data caches of the first core."""
    found = dict(USUAL)
    for index in CACHES.glob("index*"):
        if (index / "type").read_text().strip() != "Instruction":
            found[f"L{(index / 'level').read_text().strip()}"] = _bytes((index / "size").read_text().strip())
    return {name: float(found[name]) for name in sorted(found)}


def _bytes(text: str) -> int:
    units = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
    return int(text[:-1]) * units[text[-1]] if text[-1] in units else int(text)


def measure() -> Machine:
    """Measure this machine; a few seconds."""
    size = cache_sizes() | {DRAM: np.inf}
    x, turns = np.full(256, 0.5), 20_000
    peak = 2.0 * TERMS * len(x) * turns / best_time(lambda: _polynomial(x, turns))
    hertz = 6e6 / best_time(lambda: _shifts(1_000_000))
    return Machine(peak, size, {name: _bandwidth(name, size) for name in size}, hertz)


def _bandwidth(level: str, size: dict[str, float]) -> float:
    """Bytes per second of the triad on arrays that fill half of a level; four times the last cache for memory."""
    caches = [one for one in size.values() if np.isfinite(one)]
    n = int((0.5 * size[level] if np.isfinite(size[level]) else 4.0 * caches[-1]) / 24)
    a, b, c = np.zeros((3, n))
    turns = max(1, int(2e7 / n))
    return 24.0 * n * turns / best_time(lambda: _triad(a, b, c, turns))
