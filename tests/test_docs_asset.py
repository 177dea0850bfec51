"""The two classes in docs/new-asset.md keep what assets promise, obey their equations and agree with the optimum."""

import re
import runpy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

import admmflex
from admmflex import examples
from admmflex.prosumers.prosumer import Prosumer
from admmflex.scenario import build

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "new-asset.md").read_text(encoding="utf-8")
CONTRACT = runpy.run_path(str(ROOT / "tests" / "admmflex" / "assets" / "test_contract.py"))
HORIZON = CONTRACT["HORIZON"]


def written(title: str, name: str, folder: Path) -> type:
    """The class of a block of the page."""
    found = re.search(rf'^```python title="{title}"\n(.*?)^```', PAGE, re.DOTALL | re.MULTILINE)
    (folder / title).write_text(found[1], encoding="utf-8")
    return runpy.run_path(str(folder / title))[name]


@pytest.fixture(scope="module")
def electrolyser(tmp_path_factory):
    return written("electrolyser.py", "Electrolyser", tmp_path_factory.mktemp("page"))


@pytest.fixture(scope="module")
def stack(electrolyser):
    return electrolyser("stack", 30.0, 3.0, 40.0, 10.0, np.array([4.0, 9.0, 4.0, 2.0, 6.0]))


@pytest.fixture(scope="module")
def noon(tmp_path_factory):
    """Two hours of the village around noon, as a study."""
    folder = tmp_path_factory.mktemp("example") / "village"
    examples.copy("village", folder)
    text = (folder / "day.yaml").read_text()
    text = text.replace("2016-05-26 00:00", "2016-05-26 11:00").replace("duration: 1d", "duration: 2h")
    (folder / "noon.yaml").write_text(text)
    return build(admmflex.load(folder / "noon.yaml"))


PROMISES = (
    "sound_data_has_no_faults", "the_flow_is_finite_arrays_over_the_horizon", "bounds_are_ordered",
    "some_plan_keeps_the_band",
)  # fmt: skip


@pytest.mark.parametrize("promise", PROMISES)
def test_the_asset_keeps_what_every_asset_promises(stack, promise):
    CONTRACT[f"test_{promise}"](stack)


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"eta": 1.2}, "eta = 1.2"),
        ({"p_min_kw": 31.0}, "p_min_kw = 31"),
        ({"start_kwh": 41.0}, "start_kwh = 41"),
        ({"demand_kw": np.full(5, -1.0)}, "demand_kw = -1"),
        ({"demand_kw": np.full(5, 25.0)}, "tank empty at 2016-05-20 08:00, by"),
        ({"p_min_kw": 29.0}, "tank too full at 2016-05-20 08:00, by"),
    ],
)
def test_bad_data_is_named(stack, change, found):
    CONTRACT["test_bad_data_is_named"](stack, change, found)


def both_ways(study, extra):
    """A study with one more prosumer, by prices and as one problem."""
    whole = replace(study, prosumers=(*study.prosumers, extra))
    central = replace(whole, settings=whole.settings.model_copy(update={"method": "central"}))
    return admmflex.run(whole).require(), admmflex.run(central).require()


def test_the_tank_obeys_its_equation_at_the_least_cost(electrolyser, noon):
    home, dt = noon.prosumers[-1], noon.horizon.dt_h
    plant = electrolyser("stack", 30.0, 3.0, 30.0, 5.0, np.full(noon.horizon.steps, 5.0))
    station = Prosumer("station", home.bus, (plant,), home.import_price, home.export_price)
    prices, central = both_ways(noon, station)
    assert prices.objective_eur == pytest.approx(central.objective_eur, rel=1e-3)
    p = prices.dataset["asset_p_kw"].sel(asset="station/stack").to_numpy()
    tank = 5.0 + np.cumsum(dt * (-0.65 * p - 5.0))
    assert_allclose(prices.dataset["energy_kwh"].sel(asset="station/stack"), tank, atol=1e-6)
    assert (p <= -3.0 + 1e-9).all()
    assert (p >= -30.0 - 1e-9).all()
    assert tank.min() >= -1e-6
    assert tank.max() <= 30.0 + 1e-6
    assert tank[-1] >= 5.0 - 1e-6


def test_the_shop_pays_for_its_highest_power(tmp_path, noon):
    home = noon.prosumers[-1]
    busy = np.array([2.0, 2.0, 2.0, 12.0, 12.0, 2.0, 2.0, 2.0])
    shop = written("shop.py", "Shop", tmp_path)("shop", home.bus, home.import_price, home.export_price, busy)
    prices, central = both_ways(noon, shop)
    assert prices.objective_eur == pytest.approx(central.objective_eur, rel=1e-3)
    free = admmflex.run(replace(noon, prosumers=(*noon.prosumers, replace(shop, peak_price=0.0)))).require()
    highest = [-float(one.dataset["p_kw"].sel(prosumer="shop").min()) for one in (prices, free)]
    assert highest[0] < 6.0  # the battery shaves the peak
    assert highest[1] > 11.0  # and has no reason to where it costs nothing
