"""Elements of a network as prosumers: nothing is lost or counted twice, and profiles mean what their labels say."""

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from admmflex.assets import Battery, FixedLoad, Pv
from admmflex.data.elements import Element, profile_columns
from admmflex.data.network_prosumers import Source, from_network
from admmflex.data.profiles import Columns
from admmflex.data.spec import HorizonSpec, SimbenchSpec
from admmflex.errors import InputError
from admmflex.horizon import Horizon
from admmflex.prosumers.prosumer import Prosumer
from grid import Profiles

HORIZON = Horizon(datetime(2016, 5, 20, 7, tzinfo=ZoneInfo("Europe/Berlin")), np.full(3, 0.25))
COLUMNS = Columns(
    "network 'x'",
    {
        "H0_pload": np.array([0.1, 0.2, 0.3]),
        "H0_qload": np.array([0.3, 0.2, 0.1]),
        "PV1": np.array([0.0, 0.5, 1.0]),
        "S": np.array([0.2, 0.4, 0.6]),
    },
)
SOURCE = Source(COLUMNS, HORIZON, np.full(3, 0.3), np.full(3, 0.08))


def element(kind: str, name: str, bus: int, p_mw: float, **more: Any) -> Element:
    given = {"q_mvar": 0.0, "sn_mva": p_mw, "max_e_mwh": np.nan, "scaling": 1.0, "profile": None, "in_service": True}
    return Element(kind=kind, name=name, bus=bus, p_mw=p_mw, **(given | more))


ELEMENTS = [
    element("load", "a", 1, 0.004, q_mvar=0.002, profile="H0"),
    element("load", "b", 1, 0.002, scaling=0.5),
    element("load", "off", 1, 1.0, in_service=False),
    element("load", "dark", 9, 1.0),
    element("sgen", "roof", 1, 0.01, profile="PV1"),
    element("sgen", "field", 2, 0.02, profile="PV1"),
    element("storage", "cell", 1, -0.003, sn_mva=0.003, max_e_mwh=0.006, profile="S"),
]


def made(**keys: Any) -> list[Prosumer]:
    return from_network(SimbenchSpec.model_validate(keys), ELEMENTS, [0, 1, 2, 3], SOURCE)


def at_bus(prosumers: list[Prosumer], bus: int) -> dict[str, Any]:
    return {asset.name: asset for prosumer in prosumers if prosumer.bus == bus for asset in prosumer.assets}


@pytest.mark.parametrize("by", ["bus", "load"])
def test_sums_at_a_bus_do_not_depend_on_the_grouping(by: str) -> None:
    prosumers = made(by=by)
    first, second = at_bus(prosumers, 1), at_bus(prosumers, 2)
    loads = [asset for asset in first.values() if isinstance(asset, FixedLoad)]
    np.testing.assert_allclose(sum(asset.p_kw for asset in loads), 4.0 * COLUMNS.values["H0_pload"] + 1.0)
    np.testing.assert_allclose(sum(asset.q_kvar for asset in loads), 2.0 * COLUMNS.values["H0_qload"])
    np.testing.assert_allclose(first["roof"].avail_kw, [0.0, 5.0, 10.0])
    np.testing.assert_allclose(second["field"].avail_kw, [0.0, 10.0, 20.0])
    assert (first["cell"].e_max_kwh, first["cell"].p_charge_kw) == (6.0, 3.0)
    assert {prosumer.bus for prosumer in prosumers} == {1, 2}
    assert sum(len(prosumer.assets) for prosumer in prosumers if prosumer.bus == 2) == 1


def test_per_load_the_plants_belong_to_the_first_load_of_the_bus() -> None:
    owners = {asset.name: prosumer.name for prosumer in made(by="load") for asset in prosumer.assets}
    assert owners == {"a": "a", "roof": "a", "cell": "a", "b": "b", "field": "bus 2"}


def test_scaling_and_what_is_left_out() -> None:
    plain, scaled = at_bus(made(by="load"), 1), at_bus(made(by="load", load_scaling=2.0, pv={"scaling": 3.0}), 1)
    np.testing.assert_allclose(scaled["a"].p_kw, 2 * plain["a"].p_kw)
    assert scaled["roof"].rating_kw == 3 * plain["roof"].rating_kw
    bare = made(pv={"use": False}, storages={"use": "idle"})
    assert not [asset for prosumer in bare for asset in prosumer.assets if isinstance(asset, Pv | Battery)]


def test_a_storage_that_follows_its_profile_feeds_in_as_the_file_says() -> None:
    cell = at_bus(made(storages={"use": "profile"}), 1)["cell"]
    np.testing.assert_allclose(cell.flow(HORIZON).fixed_p, [0.6, 1.2, 1.8])  # p_mw < 0 is generation


def test_missing_profiles_and_capacities_are_all_named() -> None:
    broken = [
        element("load", "a", 1, 0.004, profile="H1"),
        element("sgen", "roof", 1, 0.004, profile="PV11"),
        element("storage", "cell", 2, 0.003, sn_mva=np.nan),
    ]
    with pytest.raises(InputError) as caught:
        from_network(SimbenchSpec(), broken, [1, 2], SOURCE)
    assert [fault.element for fault in caught.value.faults] == ["load 'a'", "sgen 'roof'", "storage 'cell'"]
    assert "did you mean 'PV1'?" in caught.value.faults[1].allowed


def profiles(zone: str, rows: int = 35136) -> Profiles:
    """Rows that are their own number, labelled with the wall clock of a zone."""
    first = datetime(2016, 1, 1, tzinfo=ZoneInfo(zone)).timestamp()
    at = [datetime.fromtimestamp(first + 900 * k, tz=ZoneInfo(zone)).strftime("%d.%m.%Y %H:%M") for k in range(rows)]
    return Profiles(np.array(at), np.array(["PV1"]), np.arange(float(rows))[None])


@pytest.mark.parametrize("zone", ["Europe/Berlin", "Etc/GMT-1", "UTC"])
def test_the_row_of_a_step_has_its_label(zone: str) -> None:
    year = profiles(zone)
    for start in (datetime(2016, 3, 27, 0, 30), datetime(2016, 5, 20, 7), datetime(2016, 10, 30, 1)):
        spec = HorizonSpec(start=str(start), steps=12, timezone=zone, profile_timezone=zone)
        horizon = Horizon(start.replace(tzinfo=ZoneInfo(zone)), np.full(12, 0.25))
        columns, aligned = profile_columns(year, spec, horizon, "x")
        rows = columns.values["PV1"].astype(int)
        assert aligned
        assert str(year.time[rows[0]]) == start.strftime("%d.%m.%Y %H:%M")
        np.testing.assert_array_equal(np.diff(rows), 1)


def test_labels_of_another_clock_are_refused() -> None:
    horizon = Horizon(datetime(2016, 5, 20, 7, tzinfo=ZoneInfo("Europe/Berlin")), np.full(12, 0.25))
    with pytest.raises(InputError, match=r"correct horizon\.profile_timezone"):
        profile_columns(profiles("UTC", 20000), HorizonSpec(start="2016-05-20 07:00", steps=12), horizon, "x")


def test_longer_steps_are_means() -> None:
    start = datetime(2016, 5, 20, 7, tzinfo=ZoneInfo("Europe/Berlin"))
    horizon = Horizon(start, np.array([0.25, 0.5, 1.0]))
    columns, aligned = profile_columns(
        profiles("Europe/Berlin", 20000), HorizonSpec(start="2016-05-20", steps=1), horizon, "x"
    )
    first = round((start - datetime(2016, 1, 1, tzinfo=ZoneInfo("Europe/Berlin"))) / timedelta(minutes=15)) - 4
    assert not aligned
    np.testing.assert_allclose(columns.values["PV1"], [first, first + 1.5, first + 4.5])
