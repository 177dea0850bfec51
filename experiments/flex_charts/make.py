"""Write five.json and profiles.csv: a feeder of five homes, and a SimBench day for them.

python -m experiments.flex_charts.make
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandapower as pp
import pandas as pd

from admmflex.assets import FixedLoad, Pv
from experiments.compare import study

HOMES = 5
LENGTH_KM, R_OHM_PER_KM, X_OHM_PER_KM, RATING_KA = 0.15, 0.641, 0.085, 0.144  # aluminium cable of 50 mm2
HERE = Path(__file__).parent


def feeder() -> pp.pandapowerNet:
    """Five homes along one cable behind a stiff busbar."""
    net = pp.create_empty_network(name="five homes")
    start = pp.create_bus(net, vn_kv=0.4, name="busbar")
    pp.create_ext_grid(net, start, vm_pu=1.0, name="medium-voltage grid")
    for home in range(1, HOMES + 1):
        end = pp.create_bus(net, vn_kv=0.4, name=f"home {home}")
        pp.create_line_from_parameters(
            net, end - 1, end, LENGTH_KM, R_OHM_PER_KM, X_OHM_PER_KM, 0.0, RATING_KA, name=f"cable to home {home}"
        )
    return net


def profiles() -> pd.DataFrame:
    """Five households of rural3 with the largest demand on a sunny day, and the mean sun per kWp."""
    day = study("rural3/day")
    loads = [asset for one in day.prosumers for asset in one.assets if isinstance(asset, FixedLoad)]
    plants = [asset for one in day.prosumers for asset in one.assets if isinstance(asset, Pv)]
    household = [one for one in loads if 3.0 < one.p_kw.sum() * 0.25 < 20.0 and (one.p_kw > 0.0).all()]
    shapes = {tuple(np.round(one.p_kw / one.p_kw.max(), 6)): one for one in household}  # one of each SimBench profile
    chosen = sorted(shapes.values(), key=lambda one: -float(one.p_kw.sum()))[:HOMES]
    table = {"time": [f"{day.horizon.label(k)}" for k in range(day.horizon.steps)]}
    for number, one in enumerate(chosen, start=1):
        table[f"p{number}"], table[f"q{number}"] = np.round(one.p_kw, 4), np.round(one.q_kvar, 4)
    table["sun"] = np.round(np.mean([one.avail_kw / one.rating_kw for one in plants], axis=0), 5)
    return pd.DataFrame(table)


if __name__ == "__main__":
    pp.to_json(feeder(), str(HERE / "five.json"))
    profiles().to_csv(HERE / "profiles.csv", index=False)
