"""Communicators: serial by default, MPI when the process was started by mpirun."""

from __future__ import annotations

import os
import sys

from admmflex.comm.comm import Comm, own_prosumers, own_steps
from admmflex.comm.serial import SerialComm

__all__ = ["Comm", "SerialComm", "default_comm", "own_prosumers", "own_steps", "survived"]

_LAUNCHED = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "PMIX_RANK")


def default_comm(n_steps: int) -> Comm:
    """MPI when an MPI launcher started this process, else serial (mpi4py need not be installed then)."""
    if any(name in os.environ for name in _LAUNCHED):
        from admmflex.comm.mpi import MpiComm

        return MpiComm(n_steps)
    return SerialComm()


def survived(error: BaseException) -> bool:
    """Whether an error says that a rank was lost, and the others can go on; see ``mpi.survived``."""
    mpi = sys.modules.get("admmflex.comm.mpi")
    return mpi is not None and bool(mpi.survived(error))
