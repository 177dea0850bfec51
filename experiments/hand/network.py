"""Write network.json: a low-voltage feeder of five equal pieces of cable, a bus for one home at the end of each.

python -m experiments.hand.network
"""

from __future__ import annotations

from pathlib import Path

import pandapower as pp

HOMES = 5
LENGTH_KM = 0.2
R_OHM_PER_KM = 0.16  # 0.032 ohm a piece: 0.2 pu on 1 MVA and 0.4 kV, so that 1 kW lifts the voltage by 0.0002 pu
RATING_KA = 0.25


def make() -> pp.pandapowerNet:
    """The feeder; without reactance, so that every voltage is a real number."""
    net = pp.create_empty_network(name="hand")
    start = pp.create_bus(net, vn_kv=0.4, name="busbar")
    pp.create_ext_grid(net, start, vm_pu=1.0, name="medium-voltage grid")
    for home in range(1, HOMES + 1):
        end = pp.create_bus(net, vn_kv=0.4, name=f"home {home}")
        pp.create_line_from_parameters(
            net, end - 1, end, LENGTH_KM, R_OHM_PER_KM, 0.0, 0.0, RATING_KA, name=f"cable to home {home}"
        )
    return net


if __name__ == "__main__":
    pp.to_json(make(), str(Path(__file__).with_name("network.json")))
