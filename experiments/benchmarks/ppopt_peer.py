"""PPOPT as a peer, in a process of its own that can be stopped."""

from __future__ import annotations

import math
import multiprocessing
import resource
import signal
import time
from queue import Empty
from typing import Any, NamedTuple

import numpy as np

import mpo
from admmflex.horizon import Array
from experiments.benchmarks.common import clock

START_S = 10.0  # for its process to start and import
PATIENCE = 4.0  # wall clock per processor second, on a machine that has other work


class Found(NamedTuple):
    """Processor seconds of its graph algorithm, number of its regions, values at parameters, NaN where it has none."""

    seconds: float
    regions: int
    values: Array


def by_ppopt(problem: mpo.ParametricLP | mpo.ParametricQP, theta: Array, limit_s: float) -> Found | None:
    """What it finds, with values at ``theta``; None when it has not finished after so many processor seconds.

    Raises:
        RuntimeError: PPOPT is missing, failed, or its process died.
    """
    context = multiprocessing.get_context("spawn")
    queue: Any = context.Queue()
    process = context.Process(target=_put, args=(problem, theta, limit_s, queue), daemon=True)
    process.start()
    end = time.monotonic() + PATIENCE * (limit_s + START_S)
    try:
        while time.monotonic() < end:
            alive = process.is_alive()
            try:
                found, error = queue.get(timeout=1.0)
            except Empty:
                if process.exitcode == -signal.SIGXCPU:
                    return None
                if not alive:
                    raise RuntimeError(f"PPOPT: its process ended with {process.exitcode}") from None
                continue
            if error:
                raise RuntimeError(f"PPOPT: {error}")
            return Found(*found)
        raise RuntimeError("PPOPT: the machine has too much other work")
    finally:
        process.kill()
        process.join()


def _put(problem: mpo.ParametricLP | mpo.ParametricQP, theta: Array, limit_s: float, queue: Any) -> None:
    """Put what is found, or why nothing is, into the queue."""
    try:
        queue.put((_solve(problem, theta, limit_s), ""))
    except Exception as error:
        queue.put((None, f"{type(error).__name__}: {error}"))


def _solve(problem: mpo.ParametricLP | mpo.ParametricQP, theta: Array, limit_s: float) -> tuple[float, int, Array]:
    """What makes a ``Found``; the system ends the process when PPOPT has used up its time."""
    from ppopt.mp_solvers.solve_mpqp import mpqp_algorithm, solve_mpqp
    from ppopt.mplp_program import MPLP_Program
    from ppopt.mpqp_program import MPQP_Program

    low, high, eye = np.isfinite(problem.x_min), np.isfinite(problem.x_max), np.eye(problem.variables)
    A = np.vstack([problem.A_eq, problem.A, -eye[low], eye[high]])
    b = np.concatenate([problem.b_eq, problem.b, -problem.x_min[low], problem.x_max[high]])[:, None]
    F = np.vstack([problem.F_eq, problem.F, np.zeros((int(low.sum() + high.sum()), problem.parameters))])
    shared = (problem.c[:, None], problem.C.copy(), problem.theta_A.copy(), problem.theta_b[:, None], F)
    equality = list(range(len(problem.b_eq)))
    program: Any = None
    if problem.hessian.any():
        program = MPQP_Program(A, b, shared[0], shared[1], problem.hessian, *shared[2:], equality_indices=equality)
    else:
        program = MPLP_Program(A, b, *shared, equality_indices=equality)
    start, never = clock(), resource.getrlimit(resource.RLIMIT_CPU)[1]
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(start + limit_s), never))
    program.process_constraints()
    solution = solve_mpqp(program, mpqp_algorithm.graph)
    seconds = clock() - start
    resource.setrlimit(resource.RLIMIT_CPU, (never, never))
    values = np.array([_value(problem, solution.evaluate(one[:, None]), one) for one in theta])
    return seconds, len(solution.critical_regions), values


def _value(problem: mpo.ParametricLP | mpo.ParametricQP, x: Array | None, theta: Array) -> float:
    return np.nan if x is None else float(problem.objective(np.ravel(x), theta))
