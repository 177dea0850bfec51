"""Who owns what, and the communicator of a run without MPI."""

from __future__ import annotations

import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from admmflex.comm import SerialComm, default_comm, own_prosumers, own_steps


@given(n_steps=st.integers(0, 200), size=st.integers(1, 12))
def test_every_step_has_one_owner_and_shares_are_even(n_steps: int, size: int) -> None:
    parts = [own_steps(n_steps, rank, size) for rank in range(size)]
    assert [k for part in parts for k in range(n_steps)[part]] == list(range(n_steps))
    lengths = [part.stop - part.start for part in parts]
    assert max(lengths) - min(lengths) <= 1


@given(counts=st.lists(st.integers(1, 9), min_size=0, max_size=15), size=st.integers(1, 12))
def test_every_prosumer_has_one_owner_and_no_bus_has_two(counts: list[int], size: int) -> None:
    bus = np.repeat(np.arange(len(counts)), counts)
    parts = [own_prosumers(bus, rank, size) for rank in range(size)]
    assert [i for part in parts for i in range(len(bus))[part]] == list(range(len(bus)))
    owners = [{rank for rank, part in enumerate(parts) if b in bus[part]} for b in range(len(counts))]
    assert all(len(ranks) == 1 for ranks in owners)
    longest = max((part.stop - part.start for part in parts), default=0)
    assert longest <= len(bus) / size + max(counts, default=0)


def test_alone_every_exchange_returns_what_it_was_given() -> None:
    comm, values = SerialComm(), np.arange(6.0).reshape(3, 2)
    assert (comm.rank, comm.size) == (0, 1)
    for exchange in (comm.scatter_steps, comm.gather_steps, comm.sum, comm.largest, comm.stack, comm.broadcast):
        np.testing.assert_array_equal(exchange(values.copy()), values)


def test_without_a_launcher_a_run_is_serial(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("OMPI_", "PMI_", "PMIX_")):
            monkeypatch.delenv(name)
    assert isinstance(default_comm(96), SerialComm)
