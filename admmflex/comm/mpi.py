"""MPI through mpi4py: upper-case buffer calls only. The only module that imports mpi4py."""

from __future__ import annotations

import atexit
import os
import sys
from types import TracebackType

import numpy as np
from mpi4py import MPI

from admmflex.comm.comm import own_steps
from admmflex.horizon import Array


def abort_on_error(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Print the traceback of a failing rank, then end all ranks: the others would wait for it for ever."""
    sys.__excepthook__(kind, error, trace)
    sys.stderr.flush()
    MPI.COMM_WORLD.Abort(1)


if MPI.COMM_WORLD.Get_size() > 1:
    sys.excepthook = abort_on_error


_LOST = {MPI.ERR_PROC_FAILED, MPI.ERR_PROC_FAILED_PENDING, MPI.ERR_REVOKED}
_living = [MPI.COMM_WORLD]  # the last one


def _leave() -> None:
    """End the process without MPI_Finalize, which now and then waits for the dead for ever (Open MPI 5.0.11)."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def survived(error: BaseException) -> bool:
    """Whether an error says that a rank was lost; then the communicators to come are of the others only.

    Every rank that lives must come here. Needs an MPI with fault tolerance (ULFM) that is switched on.
    """
    if not isinstance(error, MPI.Exception) or error.Get_error_class() not in _LOST:
        return False
    if len(_living) == 1:
        atexit.register(_leave)
    _living[-1].Revoke()
    _living.append(MPI.Intracomm(_living[-1].Shrink()))
    return True


class MpiComm:
    """Buffers over a communicator, by default of all ranks that live; see ``Comm`` for what each call means."""

    def __init__(self, n_steps: int, world: MPI.Intracomm | None = None) -> None:
        self._world = world = world or _living[-1]
        self.rank, self.size = world.Get_rank(), world.Get_size()
        slices = [own_steps(n_steps, rank, self.size) for rank in range(self.size)]
        self._steps = np.array([s.stop - s.start for s in slices])
        self._n_steps = n_steps

    def over(self, n_steps: int) -> MpiComm:
        return MpiComm(n_steps, self._world)

    def scatter_steps(self, sums: Array) -> Array:
        width = sums.shape[1]
        own = np.empty((self._steps[self.rank], width))
        self._world.Reduce_scatter(np.ascontiguousarray(sums), own, recvcounts=self._steps * width, op=MPI.SUM)
        return own

    def gather_steps(self, own: Array) -> Array:
        width = own.shape[1]
        everything = np.empty((self._n_steps, width))
        self._world.Allgatherv(np.ascontiguousarray(own), [everything, self._steps * width])
        return everything

    def sum(self, values: Array) -> Array:
        total = np.empty_like(values)
        self._world.Allreduce(np.ascontiguousarray(values), total, op=MPI.SUM)
        return total

    def largest(self, values: Array) -> Array:
        top = np.empty_like(values)
        self._world.Allreduce(np.ascontiguousarray(values), top, op=MPI.MAX)
        return top

    def stack(self, rows: Array) -> Array:
        counts = np.empty(self.size, np.int64)
        self._world.Allgather(np.array([len(rows)], np.int64), counts)
        stacked = np.empty((counts.sum(), rows.shape[1]))
        self._world.Allgatherv(np.ascontiguousarray(rows), [stacked, counts * rows.shape[1]])
        return stacked

    def agree(self) -> None:
        self._world.Agree(1)

    def broadcast(self, values: Array) -> Array:
        buffer = np.ascontiguousarray(values)
        self._world.Bcast(buffer, root=0)
        return buffer
