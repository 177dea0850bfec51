"""A grid filled with powers is the one that the reader makes: taps, slack voltage and signs included."""

import numpy as np
import pandapower as pp
import pytest
from numpy.testing import assert_allclose

import grid
from grid.filled import Element, filled, write


@pytest.fixture
def file(tmp_path):
    """A transformer whose tap pandapower would ignore, a line, and a load that does not belong to the plan."""
    net = pp.create_empty_network()
    buses = [pp.create_bus(net, kv) for kv in (20.0, 0.4, 0.4)]
    pp.create_ext_grid(net, buses[0], vm_pu=1.02)
    trafo = pp.create_transformer(net, buses[0], buses[1], "0.25 MVA 20/0.4 kV")
    net.trafo.loc[trafo, ["tap_pos", "tap_changer_type"]] = [2, None]
    pp.create_line(net, buses[1], buses[2], 0.3, "NAYY 4x150 SE")
    pp.create_load(net, buses[2], 5.0)
    pp.to_json(net, str(tmp_path / "net.json"))
    return tmp_path / "net.json"


@pytest.mark.parametrize("taps", ["as_given", "neutral"])
@pytest.mark.parametrize("slack", [None, 0.98])
def test_it_is_the_grid_that_the_reader_makes(file, taps, slack):
    steps = np.array([[20.0, -30.0]])
    elements = [
        Element("load", "a", 2, -0.5 * steps[0], 0.1 * steps[0]),
        Element("sgen", "b", 2, 2.0 * steps[0], 0.0 * steps[0]),
        Element("storage", "c", 1, -0.25 * steps[0], 0.0 * steps[0], {"max_e_mwh": 0.01}),
    ]
    network = grid.read(pp.from_json(str(file)), taps=taps)
    network = network if slack is None else network.with_slack(slack)
    p, q = np.zeros((2, network.n, 2))
    for one in elements:
        p[network.positions([one.bus])] += one.p_kw
        q[network.positions([one.bus])] += one.q_kvar
    for step in range(2):
        net = filled(file, elements, step, taps=taps, slack_pu=slack)
        assert_allclose(
            net.res_bus.vm_pu.loc[network.buses], np.abs(grid.power_flow(network, p, q).v)[:, step], atol=1e-8
        )


def test_lines_without_reactance_are_no_obstacle(file, tmp_path):
    net = pp.from_json(str(file))
    net.line["x_ohm_per_km"] = 0.0
    pp.to_json(net, str(tmp_path / "resistive.json"))
    element = Element("sgen", "b", 2, np.array([40.0]), np.zeros(1))
    network, found = grid.read(net), filled(tmp_path / "resistive.json", [element], 0)
    p = np.zeros((network.n, 1))
    p[network.positions([2])] = 40.0
    wanted = np.abs(grid.power_flow(network, p, 0.0 * p).v)[:, 0]
    assert_allclose(found.res_bus.vm_pu.loc[network.buses], wanted, atol=1e-8)


def test_it_can_be_written_and_read(file, tmp_path):
    net = filled(file, [Element("sgen", "b", 2, np.array([20.0]), np.zeros(1))], 0)
    write(net, tmp_path / "out.json")
    assert_allclose(pp.from_json(str(tmp_path / "out.json")).res_bus.vm_pu, net.res_bus.vm_pu)


def test_what_the_grid_cannot_carry_is_a_fault(file):
    with pytest.raises(grid.InputError, match="no solution"):
        filled(file, [Element("load", "a", 2, np.array([-1e5]), np.zeros(1))], 0)
