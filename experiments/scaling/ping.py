"""What a sum over all ranks takes, by size: ``python -m experiments.scaling.ping <folder>``, under mpirun."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np

from admmflex.comm import default_comm

SIZES = (1, 128, 1024, 8192, 65536, 262144)  # numbers of 8 bytes
REPEATS = 200


def measure() -> dict[str, list[float]]:
    """Bytes, and the lower quartile of the seconds: other work on the machine disturbs the rest."""
    comm = default_comm(1)
    seconds = []
    for size in SIZES:
        values, taken = np.ones(size), []
        for _ in range(REPEATS):
            comm.largest(np.zeros(1))
            started = time.perf_counter()
            comm.sum(values)
            taken.append(time.perf_counter() - started)
        seconds.append(float(np.quantile(taken, 0.25)))
    return {"bytes": [8.0 * size for size in SIZES], "seconds": seconds}


if __name__ == "__main__":
    found = measure()
    if default_comm(1).rank == 0:
        (Path(sys.argv[1]) / "ping.json").write_text(json.dumps(found), encoding="utf-8")
