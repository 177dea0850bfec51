"""Random grids: power flows equal pandapower's, and damaged ones are refused with faults or read as they stand."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandapower as pp
import pytest
from hypothesis import given
from hypothesis import strategies as st

import grid
from tests.fuzz import examples, odd, random_net

SEED = st.integers(0, 2**32 - 1)


def injections(net: Any, network: grid.Network) -> tuple[np.ndarray, np.ndarray]:
    p, q = np.zeros((network.n, 1)), np.zeros((network.n, 1))
    at = network.positions(net.load.bus.to_numpy())
    np.add.at(p[:, 0], at, -1e3 * net.load.p_mw.to_numpy())
    np.add.at(q[:, 0], at, -1e3 * net.load.q_mvar.to_numpy())
    return p, q


@examples(25)
@given(SEED)
def test_power_flows_equal_pandapower(seed: int) -> None:
    """Where pandapower finds voltages above 0.7 pu, ours are the same; where it finds none, ours balance or are NaN."""
    net = random_net(seed)
    network = grid.read(net)
    p, q = injections(net, network)
    v = grid.power_flow(network, p, q).v[network.known_positions, 0]
    try:
        pp.runpp(net, calculate_voltage_angles=True, init="dc", tolerance_mva=1e-10, max_iteration=50)
    except pp.LoadflowNotConverged:
        assert not np.isfinite(v).all() or np.abs(v).min() < 0.75
        return
    expected = net.res_bus.vm_pu.loc[network.known_buses].to_numpy()
    if expected.min() < 0.7:
        return  # near the nose two solutions are close
    angle = net.res_bus.va_degree.loc[network.known_buses].to_numpy()
    np.testing.assert_allclose(np.abs(v), expected, atol=2e-8)
    np.testing.assert_allclose(v, expected * np.exp(1j * np.deg2rad(angle)), atol=2e-7)


def damaged(seed: int) -> Any:
    """A random grid with one to three cells, rows, columns or switches that are wrong."""
    rng = np.random.default_rng([seed, 1])
    net = random_net(seed, 6)
    for _ in range(int(rng.integers(1, 4))):
        table = str(rng.choice(["bus", "line", "trafo", "load", "ext_grid", "switch"]))
        rows, kind = net[table], int(rng.integers(5))
        if not len(rows):
            continue
        row, column = int(rng.integers(len(rows))), str(rng.choice(rows.columns))
        if kind == 0:
            net[table] = rows.drop(index=rows.index[row])
        elif kind == 1:
            net[table] = rows.drop(columns=column)
        elif kind == 2:
            net[table].index = [rows.index[int(i)] for i in rng.integers(len(rows), size=len(rows))]
        else:
            values = rows[column].astype(object).tolist()
            values[row] = odd(rng) if kind == 3 else float(rng.choice([-1.0, 0.0, 1e9, 1e-9]))
            net[table][column] = np.array([*values, None], dtype=object)[:-1]
    return net


@examples(40)
@given(SEED)
def test_damaged_grids_are_read_or_refused(seed: int) -> None:
    """By themselves and out of a file, balanced and by phase: faults, or numbers."""
    net = damaged(seed)
    with suppress(grid.InputError):
        network = grid.read(net)
        assert np.isfinite([network.y_ff, network.y_ft, network.y_tf, network.y_tt]).all()
    with pytest.raises(grid.InputError):  # without zero-sequence data
        grid.read_three_phase(net)


@examples(15)
@given(SEED)
def test_damaged_files_are_read_or_refused(tmp_path: Path, seed: int) -> None:
    """Bytes of a grid file that are changed, lost or doubled."""
    rng = np.random.default_rng(seed)
    text = bytearray(pp.to_json(random_net(seed % 7, 5)).encode())
    for _ in range(int(rng.integers(1, 6))):
        at, size = int(rng.integers(len(text))), int(10 ** rng.uniform(0, 3))
        text[at : at + size] = [b"", bytes(text[at : at + size]) * 2, rng.bytes(size)][int(rng.integers(3))]
    (tmp_path / "grid.json").write_bytes(text)
    with suppress(grid.InputError):
        grid.read_case(tmp_path / "grid.json")


def test_a_tap_position_without_its_neutral_one_is_a_fault() -> None:
    net = random_net(0)
    net["trafo"] = net["trafo"].drop(columns="tap_neutral")
    with pytest.raises(grid.InputError, match="table trafo: no column tap_neutral"):
        grid.read(net)
