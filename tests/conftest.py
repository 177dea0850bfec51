"""What all tests share: one thread for linear algebra, a cache of networks inside the checkout, and a small region."""

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import hypothesis
import numpy as np
import psutil
import pytest

# A busy machine is no fault: examples may take their time, and so may drawing them.
hypothesis.settings.register_profile("patient", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("patient")

for library in ("OMP", "OPENBLAS", "MKL"):
    os.environ.setdefault(f"{library}_NUM_THREADS", "1")


def pytest_configure(config: pytest.Config) -> None:
    if hasattr(config, "cache"):
        os.environ.setdefault("ADMMFLEX_CACHE", str(config.cache.mkdir("networks")))


AREAS = ((1, 6), (2, 5), (3, 7), (3, 5))
"""The medium-voltage bus that each area hangs on, and how many homes it has, one after the other along a cable."""
HOURS = 12
CUSTOMER = 2


def region_net(areas: Sequence[tuple[int, int]] = AREAS, *, line_ka: float = 0.2, tie: bool = False) -> Any:
    """110/10 kV, a line over buses 1 to 3, areas of 0.4 kV; ``tie`` closes a ring between the first two areas.

    Bus 0 is the slack, 1 to 3 are medium voltage, then area by area its busbar and its homes.
    """
    import pandapower as pp

    net = pp.create_empty_network(name="region")
    pp.create_bus(net, 110.0, name="upstream")
    pp.create_ext_grid(net, 0, vm_pu=1.01)
    for i in range(1, 4):
        pp.create_bus(net, 10.0, name=f"MV {i}")
    transformer = dict(pfe_kw=0.3, i0_percent=0.2, tap_side="hv", tap_neutral=0, tap_min=-2, tap_max=2)
    transformer |= dict(tap_step_percent=2.5, tap_changer_type="Ratio")
    pp.create_transformer_from_parameters(
        net, 0, 1, 1.0, 110.0, 10.0, 0.8, 11.0, shift_degree=0, tap_pos=0, name="HV/MV", **transformer
    )
    for i in (1, 2):
        pp.create_line_from_parameters(net, i, i + 1, 8.0, 0.5, 0.35, 10.0, line_ka, name=f"MV line {i}")
    ends = []
    for a, (node, homes) in enumerate(areas):
        last = pp.create_bus(net, 0.4, name=f"busbar {a}")
        pp.create_transformer_from_parameters(
            net, node, last, 0.1, 10.0, 0.4, 1.5, 4.0, shift_degree=150, tap_pos=0, name=f"MV/LV {a}", **transformer
        )
        for home in range(homes):
            end = pp.create_bus(net, 0.4, name=f"home {a}.{home}")
            pp.create_line_from_parameters(net, last, end, 0.1, 0.32, 0.08, 250.0, 0.25, name=f"cable {a}.{home}")
            last = end
        ends.append(last)
    if tie:
        pp.create_line_from_parameters(net, ends[0], ends[1], 0.2, 0.32, 0.08, 250.0, 0.25, name="tie")
    return net


def region_scenario(
    areas: Sequence[tuple[int, int]] = AREAS, *, sun: Sequence[float] = (1.0, 1.0, 0.2, 1.0), evening: float = 1.0
) -> dict[str, Any]:
    """A sunny day in the region: load and PV in every home, a battery in every other one, a plant on medium voltage.

    Args:
        sun: size of the PV by area; the cable of an area carries about 0.4.
        evening: factor for all loads in the last two hours.
    """
    rng = np.random.default_rng(7)
    height = np.clip(np.sin(np.pi * (np.arange(HOURS) - 0.5) / HOURS), 0.0, None).round(4)
    late = np.where(np.arange(HOURS) >= HOURS - 2, evening, 1.0)
    homes, bus = [], 4
    for a, (_, count) in enumerate(areas):
        for i in range(count):
            load, kwp = (rng.uniform(0.3, 1.5, HOURS) * late).round(3), round(sun[a] * rng.uniform(8.0, 14.0), 2)
            home: dict[str, Any] = {"name": f"home {a}.{i}", "bus": bus + 1 + i}
            home["load"] = {"p_kw": load.tolist(), "q_kvar": (0.2 * load).round(4).tolist()}
            home["pv"] = {"kwp": kwp, "profile": height.tolist(), "reactive": "box", "q_cost": 0.002}
            if i % 2:
                size = {"e_max_kwh": 8.0, "p_charge_kw": 3.0, "p_discharge_kw": 3.0, "e_start_kwh": 2.0}
                home["battery"] = size | {"wear": 0.02, "e_end_min_kwh": 2.0}
            homes.append(home)
        bus += count + 1
    plant = {"kwp": 30.0, "profile": height.tolist(), "reactive": "box", "q_cost": 0.002}
    homes.append({"name": "plant", "bus": CUSTOMER, "load": {"p_kw": 5.0}, "pv": plant})
    return {
        "name": "region",
        "network": "region.json",
        "horizon": {"start": "2016-06-01 06:00", "steps": HOURS, "step_minutes": 60, "timezone": "Europe/Berlin"},
        "tariff": {"import": 0.30, "export": 0.08},
        "limits": {"v_min": 0.95, "v_max": 1.05},
        "prosumers": {"list": homes},
        "coordination": {"method": "admm"},
    }


@pytest.fixture
def one_gigabyte() -> Iterator[None]:
    """What the test runs may ask the system for 1 GB more than is in use, and no more."""
    resource = pytest.importorskip("resource")
    used = psutil.Process().memory_info().vms
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + 1_000_000_000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


@pytest.fixture(scope="session")
def two_feeders() -> Any:
    """Transformer 0-1 with a tap and a shift, feeders 2-3 and 4-(5, 6) behind bus 1; line 4-6 has no rating."""
    import grid

    n, from_bus, to_bus = 7, np.array([0, 1, 2, 1, 4, 4]), np.array([1, 2, 3, 4, 5, 6])
    series = 1.0 / np.array([0.02 + 0.06j, 0.25 + 0.08j, 0.3 + 0.1j, 0.2 + 0.09j, 0.35 + 0.1j, 0.3 + 0.12j])
    ratio = np.where(np.arange(6) == 0, 1.02 * np.exp(0.1j), 1.0)
    rated = np.array([0.06, 0.04, 0.02, 0.05, 0.03, np.inf])
    return grid.Network(
        name="two feeders", buses=np.arange(10, 10 + n), bus_names=("", "busbar", *"abcde"), base_kv=np.full(n, 0.4),
        v_slack=1.01 + 0j, v_min=np.linspace(0.94, 0.96, n), v_max=np.linspace(1.04, 1.06, n),
        shunt_y=np.zeros(n, complex), known_buses=np.arange(10, 10 + n), known_positions=np.arange(n),
        from_bus=from_bus, to_bus=to_bus, y_ff=(series + 0.001j) / np.abs(ratio) ** 2, y_ft=-series / np.conj(ratio),
        y_tf=-series / ratio, y_tt=series + 0.001j, branch_kinds=("trafo", *["line"] * 5), branch_index=np.arange(6),
        branch_names=("station", *"vwxyz"), is_transformer=np.arange(6) == 0, i_max_from=rated, i_max_to=1.1 * rated,
        s_max=np.where(np.arange(6) == 0, 0.05, np.inf),
    )  # fmt: skip


@pytest.fixture(scope="session")
def two_levels() -> Callable[..., Any]:
    """``two_levels(**options)``: a pandapower grid of two voltage levels, see ``region_net``."""
    return region_net


@pytest.fixture(scope="session")
def region_file(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """``region_file(line_ka=, **options)``: a scenario of the region on disk, see ``region_scenario``."""

    def write(line_ka: float = 0.2, **options: Any) -> Path:
        import pandapower as pp
        import yaml

        folder = tmp_path_factory.mktemp("region")
        pp.to_json(region_net(line_ka=line_ka), str(folder / "region.json"))
        (folder / "region.yaml").write_text(yaml.safe_dump(region_scenario(**options)))
        return folder / "region.yaml"

    return write
