"""Three-phase feeders read from pandapower and OpenDSS equal OpenDSS, power-grid-model and pandapower itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandapower as pp
import pandapower.networks as nw
import pytest
from numpy.testing import assert_allclose

import grid

PHASES = "abc"


def solved(case: grid.ThreePhaseCase) -> grid.UnbalancedFlow:
    at, p, q = case.bus_sums()
    return grid.unbalanced_flow(case.network, p, q, at=at, tol=1e-12).require()


def european() -> Any:
    """The IEEE European feeder without pandapower's zero-sequence magnetising branch."""
    net = nw.ieee_european_lv_asymmetric()
    net.trafo["mag0_percent"] = 1e9
    return net


def street(group: str = "Dyn", shift: float = 150.0, mag0: float = 80.0) -> Any:
    """Six buses: a transformer with tap and iron losses, charged cables, a switch, symmetric and other elements."""
    net = pp.create_empty_network(name="street", f_hz=50.0)
    mv, lv, spare, a, b, c = (pp.create_bus(net, kv, name=f"B{i}") for i, kv in enumerate([20.0] + [0.4] * 5))
    pp.create_ext_grid(net, mv, vm_pu=1.01, va_degree=5.0, s_sc_max_mva=1e12, rx_max=0.1, x0x_max=1.0, r0x0_max=0.1)
    pp.create_transformer_from_parameters(
        net, mv, lv, sn_mva=0.25, vn_hv_kv=20.5, vn_lv_kv=0.41, vk_percent=6.0, vkr_percent=1.2, pfe_kw=0.6,
        i0_percent=0.4, shift_degree=shift, tap_side="hv", tap_neutral=0, tap_min=-2, tap_max=2, tap_step_percent=2.5,
        tap_pos=-1, tap_changer_type="Ratio", parallel=2, name="T", vector_group=group, vk0_percent=5.0,
        vkr0_percent=1.5, mag0_percent=mag0, mag0_rx=0.3, si0_hv_partial=0.7,
    )  # fmt: skip
    pp.create_switch(net, lv, spare, et="b", closed=True)
    for n, (start, end, parallel) in enumerate(((lv, a, 2), (b, a, 1), (spare, c, 1))):
        pp.create_line_from_parameters(
            net, start, end, 0.2 + 0.1 * n, r_ohm_per_km=0.25, x_ohm_per_km=0.08, c_nf_per_km=260.0, max_i_ka=0.27,
            r0_ohm_per_km=0.9, x0_ohm_per_km=0.3, c0_nf_per_km=120.0, parallel=parallel, name=f"L{n}",
        )  # fmt: skip
    pp.create_asymmetric_load(net, b, 0.012, 0.004, 0.0, 0.003, -0.001, 0.0, scaling=0.9)
    pp.create_asymmetric_sgen(net, c, 0.0, 0.009, 0.002, 0.0, 0.001, 0.0)
    pp.create_load(net, a, 0.02, 0.006)
    pp.create_sgen(net, c, 0.015, 0.0, type="wye")  # runpp_3ph leaves out all other types
    pp.create_load(net, c, 9.0, 9.0, in_service=False)
    return net


def power_grid_model(net: Any) -> Any:
    """(n, 3) voltages of power-grid-model, buses as in net.bus: single lines and transformer, asymmetric loads."""
    pgm = pytest.importorskip("power_grid_model")
    kind, n, m = pgm.ComponentType, len(net.bus), len(net.line)
    place = {bus: i for i, bus in enumerate(net.bus.index)}

    def table(what: Any, size: int, first: int, **columns: Any) -> Any:
        made = pgm.initialize_array("input", what, size)
        made["id"] = first + np.arange(size)
        for name, value in columns.items():
            made[name] = value
        return made

    long, t, load = net.line.length_km, net.trafo.iloc[0], net.asymmetric_load
    windings = pgm.WindingType.delta if t.vector_group == "Dyn" else pgm.WindingType.wye_n
    parts = {
        kind.node: table(kind.node, n, 0, u_rated=net.bus.vn_kv * 1e3),
        kind.line: table(
            kind.line, m, n, from_node=[place[bus] for bus in net.line.from_bus],
            to_node=[place[bus] for bus in net.line.to_bus], from_status=1, to_status=1, tan1=0, tan0=0, i_n=1e3,
            r1=net.line.r_ohm_per_km * long, x1=net.line.x_ohm_per_km * long, c1=net.line.c_nf_per_km * long * 1e-9,
            r0=net.line.r0_ohm_per_km * long, x0=net.line.x0_ohm_per_km * long,
            c0=net.line.c0_nf_per_km * long * 1e-9,
        ),
        kind.transformer: table(
            kind.transformer, 1, n + m, from_node=place[t.hv_bus], to_node=place[t.lv_bus], from_status=1, to_status=1,
            u1=t.vn_hv_kv * 1e3, u2=t.vn_lv_kv * 1e3, sn=t.sn_mva * 1e6, uk=t.vk_percent / 100, i0=t.i0_percent / 100,
            pk=t.vkr_percent / 100 * t.sn_mva * 1e6, p0=t.pfe_kw * 1e3, winding_from=windings,
            winding_to=pgm.WindingType.wye_n, clock=round(t.shift_degree / 30) % 12, tap_side=0, tap_pos=0, tap_min=-1,
            tap_max=1, tap_nom=0, tap_size=0.0,
        ),
        kind.source: table(
            kind.source, 1, n + m + 1, node=place[net.ext_grid.bus.iloc[0]], status=1, u_ref=net.ext_grid.vm_pu.iloc[0],
            sk=1e40,
        ),
        kind.asym_load: table(
            kind.asym_load, len(load), n + m + 2, node=[place[bus] for bus in load.bus], status=1, type=0,
            p_specified=load[[f"p_{x}_mw" for x in PHASES]].to_numpy() * 1e6,
            q_specified=load[[f"q_{x}_mvar" for x in PHASES]].to_numpy() * 1e6,
        ),
    }  # fmt: skip
    found = pgm.PowerGridModel(parts).calculate_power_flow(symmetric=False, error_tolerance=1e-10)[kind.node]
    return found["u_pu"] * np.exp(1j * found["u_angle"])


def opendss(path: Path) -> dict[str, complex]:
    """Voltage [V] by node of what a script builds; Converged is checked, since OpenDSS says so at 0.05 pu as well."""
    dss = pytest.importorskip("dss").dss
    for command in (f'redirect "{path}"', "set tolerance=1e-12", "set maxiterations=500", "solve"):
        dss.Text.Command = command
    circuit = dss.ActiveCircuit
    assert circuit.Solution.Converged
    parts = np.array(circuit.AllBusVolts)
    return dict(zip(circuit.AllNodeNames, parts[0::2] + 1j * parts[1::2], strict=True))


def compared(case: grid.ThreePhaseCase, nodes: dict[str, complex]) -> float:
    """Largest |difference of voltage| [pu] over all nodes; every node of one has to be in the other."""
    net, v = case.network, solved(case).v[..., 0]
    ours = {
        f"{net.bus_names[i]}.{c + 1}": (v[i, c], net.base_kv[i] * 1e3 / np.sqrt(3))
        for i, c in np.argwhere(net.wires)
        if net.bus_names[i] != "source of the circuit"
    }
    assert ours.keys() == nodes.keys()
    for name, (value, base) in ours.items():
        if not name.endswith(".4"):
            assert 0.5 < abs(value) < 1.5, name
            assert 0.5 < abs(nodes[name]) / base < 1.5, name
    return max(abs(value - nodes[name] / base) for name, (value, base) in ours.items())


def script_of(net: Any) -> str:
    """The European feeder as an OpenDSS script with a stiff source."""
    t = net.trafo.iloc[0]
    kv, kva = [float(t.vn_hv_kv), float(t.vn_lv_kv)], float(t.sn_mva) * 1e3
    x, r = float(np.sqrt(t.vk_percent**2 - t.vkr_percent**2)), float(t.vkr_percent)
    source = f"basekv={kv[0]!r} pu={float(net.ext_grid.vm_pu[0])!r} mvasc3=1e12 mvasc1=1e12"
    lines = [
        "Clear",
        "Set DefaultBaseFrequency=50",
        f"New Circuit.european bus1=0 {source}",
        f"New Transformer.T phases=3 windings=2 buses=[0 1] conns=[delta wye] kvs={kv} kvas={[kva, kva]}",
        f"~ xhl={x!r} %loadloss={r!r} ppm_antifloat=0",
    ]
    for i, row in net.line.iterrows():
        lines.append(
            f"New Line.{i} bus1={row.from_bus} bus2={row.to_bus} phases=3 length={float(row.length_km)!r} units=km "
            f"r1={row.r_ohm_per_km} x1={row.x_ohm_per_km} r0={row.r0_ohm_per_km} x0={row.x0_ohm_per_km} c1=0 c0=0"
        )
    for i, row in net.asymmetric_load.iterrows():
        for node, phase in enumerate(PHASES, start=1):
            p, q = float(row[f"p_{phase}_mw"]) * 1e3, float(row[f"q_{phase}_mvar"]) * 1e3
            if p or q:
                lines.append(
                    f"New Load.{i}{phase} phases=1 bus1={row.bus}.{node} kv=0.24 kw={p!r} kvar={q!r} "
                    "vminpu=0.1 vmaxpu=2 vlowpu=0.05"
                )
    return "\n".join([*lines, f"Set VoltageBases={kv}", "CalcVoltageBases", "Solve"])


def test_the_european_feeder_equals_opendss_and_power_grid_model(tmp_path: Path) -> None:
    net = european()
    case = grid.read_three_phase(net)
    v = solved(case).v[case.network.positions(net.bus.index), :, 0]
    assert_allclose(v, power_grid_model(net), rtol=0, atol=1e-9)
    path = tmp_path / "european.dss"
    path.write_text(script_of(net))
    nodes = opendss(path)
    base = net.bus.vn_kv.to_numpy()[:, None] * 1e3 / np.sqrt(3)
    theirs = np.array([[nodes[f"{bus}.{f}"] for f in (1, 2, 3)] for bus in net.bus.index]) / base
    assert_allclose(v, theirs, rtol=0, atol=1e-8)
    again = grid.read_three_phase(path)
    assert compared(again, nodes) < 1e-8
    assert len(solved(case).reduction.kept) < 120 < case.network.n


@pytest.mark.parametrize(("group", "shift"), [("Dyn", 30.0 * hour) for hour in (1, 3, 5, 7, 9, 11)] + [("YNyn", 0.0)])
def test_vector_groups_equal_power_grid_model(group: str, shift: float) -> None:
    """With what power-grid-model knows: one impedance for all sequences, no magnetising, loads by phase."""
    net = street(group, shift, mag0=1e9)
    net.line["parallel"], net.trafo["parallel"], net.trafo["tap_pos"] = 1, 1, 0
    net.trafo[["pfe_kw", "i0_percent"]] = 0.0
    net.trafo[["vk0_percent", "vkr0_percent"]] = net.trafo[["vk_percent", "vkr_percent"]].to_numpy()
    net.ext_grid["va_degree"], net.line.loc[2, "from_bus"] = 0.0, 1
    for table in ("bus", "switch", "load", "sgen", "asymmetric_sgen"):
        net[table] = net[table].drop(index=2 if table == "bus" else net[table].index)
    net.asymmetric_load["scaling"] = 1.0
    case = grid.read_three_phase(net)
    v = solved(case).v[case.network.positions(net.bus.index), :, 0]
    assert_allclose(v, power_grid_model(net), rtol=0, atol=1e-9)


@pytest.mark.parametrize(("group", "shift"), [("Dyn", 150.0), ("Dyn", 330.0), ("YNyn", 0.0)])
def test_what_pandapower_computes(group: str, shift: float) -> None:
    """Taps, iron losses, zero-sequence magnetising, charging; runpp_3ph stops at a mismatch of 0.03 W."""
    from pandapower.pf.runpp_3ph import runpp_3ph

    net = street(group, shift)
    case = grid.read_three_phase(net)
    runpp_3ph(net, max_iteration=100)
    found = net.res_bus_3ph
    theirs = [found[f"vm_{x}_pu"] * np.exp(1j * np.deg2rad(found[f"va_{x}_degree"])) for x in PHASES]
    v = solved(case).v[case.network.positions(net.bus.index), :, 0]
    assert_allclose(v, np.transpose(theirs), rtol=0, atol=1e-6)


def test_a_yyn_transformer_lifts_the_star_point_by_its_magnetising_impedance() -> None:
    """Zero sequence of the lower winding sees z_b + z_m: checked on the voltage without phase load to earth."""
    net = street("Yyn", 0.0, mag0=2000.0)
    case = grid.read_three_phase(net)
    flow = solved(case)
    lv = case.network.positions([1])[0]
    current = flow.i_to_a([lv - 1])[0, :, 0].sum() / 3
    z_0 = 0.05 * 0.41**2 / 0.25 / 2
    z_0 = z_0 * complex(0.3, np.sqrt(1 - 0.3**2))
    seen = 0.3 * z_0 + 20 * abs(z_0) * complex(0.3, 1) / np.hypot(0.3, 1)
    assert_allclose(flow.v[lv, :, 0].mean() * 400 / np.sqrt(3), -current * seen, rtol=1e-9)
    assert abs(flow.i_from_a([lv - 1])[0, :, 0].sum()) < 1e-9


FOUR_WIRE = """
Clear
Set DefaultBaseFrequency=50
New Circuit.four basekv=11 pu=1.02 mvasc3=200 mvasc1=180 x1r1=3 x0r0=2 bus1=Hv
New Transformer.tr phases=3 windings=2 buses=[HV LV.1.2.3.4] conns=[Delta Wye] kvs=[11 0.416] leadlag=lead
~ kvas=[500 500] xhl=4 %rs=[0.5 0.6] taps=[1.0 1.025] %imag=1 %noloadloss=.3
New Reactor.earth phases=1 bus1=lv.4 bus2=lv.0 r=2 x=0.1   ! star point
Redirect codes.txt
New Line.l1 bus1=lv.1.2.3.4 bus2=a.1.2.3.4 linecode=four length=250 units=m
New Line.l2 bus1=a.1.2.3.4 bus2=b.1.2.3.4 linecode=four length=0.2 units=km
New Line.l3 bus1=c.1.2.3.4 bus2=b.1.2.3.4 linecode=four length=100 units=m // towards the source
New Line.s1 bus1=b.2.4 bus2=d.2.4 linecode=two length=40 units=m
New Line.s2 bus1=a.3.1.2.4 bus2=e.3.1.2.4 linecode=four length=60 units=m
New Reactor.c phases=1 bus1=c.4 bus2=c.0 r=10 x=0
New Load.a1 phases=1 bus1=d.2.4 kv=.24 kw=6 pf=.95 vminpu=.1 vmaxpu=2
New Load.a2 phases=3 bus1=c.1.2.3.4 kv=.416 kw=20 kvar=5 vminpu=.1 vmaxpu=2
New Load.a3 phases=1 bus1=c.1.4 kv=.24 kva=9 pf=-.9 vminpu=.1 vmaxpu=2
New Load.a4 phases=1 bus1=e.3.4 kv=.24 kw=9 daily=default vminpu=.1 vmaxpu=2
New Generator.g1 phases=1 bus1=e.1.4 kv=.24 kw=7 kvar=1 model=1 vminpu=.1 vmaxpu=2
New PVSystem.p1 phases=3 bus1=b.1.2.3.4 kv=.416 kva=12 pmpp=10 irradiance=.8 pf=.95 %cutin=0 %cutout=0
~ vminpu=.1 vmaxpu=2
New Energymeter.m element=Line.l1
Set voltagebases=[11 .4]
CalcVoltageBases
Solve
"""
CODES = """
New Linecode.four nphases=4 units=km rmatrix=[.3 | .05 .3 | .05 .05 .3 | .05 .05 .05 .35]
~ xmatrix=(.1 |.02 .1|.02 .02 .1|.02 .02 .02 .12)
~ cmatrix=[200 | -20 200 | -20 -20 200 | -20 -20 -20 210]
New Linecode.two nphases=2 units=km rmatrix=[.5 .05|.05 .5] xmatrix=[.1 .01 | .01 .1] cmatrix=[50 0|0 50]
"""
STAR = """
Clear
Set DefaultBaseFrequency=50
New Circuit.star basekv=11 pu=1.02 angle=10 isc3=3000 isc1=500 bus1=hv
New Transformer.tr phases=3 windings=2 xhl=4 %loadloss=1 {iron}
~ wdg=1 bus={upper} conn=wye kv=11 kva=500
~ wdg=2 bus=lv conn=wye kv=.4 kva=500 tap=.98
New Line.l1 bus1=lv bus2=a r1=.3 x1=.1 r0=.9 x0=.3 c1=100 c0=50 length=.3 units=km
New Line.l2 bus1=a.3.1 bus2=b.3.1 phases=2 r1=.3 x1=.1 r0=.9 x0=.3 c1=100 c0=50 length=.3
New Line.l3 bus1=a.2 bus2=d.2 phases=1 r1=.3 x1=.1 r0=.9 x0=.3 c1=100 c0=50 length=.3
New Line.sw bus1=a bus2=c switch=y
New Load.a1 phases=1 bus1=d.2 kv=.24 kw=.6 pf=.95 vminpu=.1 vmaxpu=2
New Load.a2 phases=3 bus1=c kv=.416 kw=20 kvar=5 vminpu=.1 vmaxpu=2
New Load.a3 phases=1 bus1=b.3 kv=.24 kva=2 pf=-.9 vminpu=.1 vmaxpu=2
Set loadmult=0.9
Set voltagebases=[11 .4]
CalcVoltageBases
"""


@pytest.mark.parametrize("earth", ["reactor", "winding"])
def test_four_wires_equal_opendss(earth: str, tmp_path: Path) -> None:
    path = tmp_path / "master.dss"
    reactor = "New Reactor.earth phases=1 bus1=lv.4 bus2=lv.0 r=2 x=0.1"
    path.write_text(FOUR_WIRE if earth == "reactor" else FOUR_WIRE.replace(reactor, "~ wdg=2 rneut=3 xneut=0.2"))
    (tmp_path / "codes.txt").write_text(CODES)
    case = grid.read_three_phase(path)
    assert case.network.w == 4
    assert case.network.notes == ("1 energymeter left out: no effect on a snapshot",)
    assert compared(case, opendss(path)) < 1e-8
    assert np.nanmax(solved(case).neutral_v()) > 1.0


@pytest.mark.parametrize(
    ("upper", "iron"),
    [("hv", ""), ("hv", "%imag=3"), ("hv.1.2.3.4", "%imag=3"), ("hv.1.2.3.4", "%imag=3 ppm_antifloat=0")],
)
def test_stars_with_and_without_neutral_equal_opendss(upper: str, iron: str, tmp_path: Path) -> None:
    """YNyn, and Yyn, whose lower star finds its zero sequence in the magnetising impedance."""
    path = tmp_path / "star.dss"
    path.write_text(STAR.format(upper=upper, iron=iron))
    case = grid.read_three_phase(path)
    nodes = {name: v for name, v in opendss(path).items() if name != "hv.4"}
    assert compared(case, nodes) < 1e-8


def test_every_fault_of_a_script_is_named_by_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "bad.dss"
    path.write_text(
        "New Circuit.bad basekv=0.4 bus1=src\n"
        "New Capacitor.c bus1=a kvar=5\n"
        "New Line.l1 bus1=src bus2=a length=-3 r1=0.1\n"
        "Redirect more.dss\n"
        "New Line.l2 bus1=a.1 bus2=b.2 phases=1\n"
        "New Load.x bus1=a kw=abc model=5\n"
        "~ vminpu=0.9 colour=red\n"
        "Open Line.l1\n"
        "Redirect nowhere.dss\n"
    )
    (tmp_path / "more.dss").write_text("! nothing\nNew Line.l1 bus1=src bus2=b\nSet zonelock=yes\n")
    with pytest.raises(grid.InputError) as caught:
        grid.read_three_phase(path)
    said = [str(fault) for fault in caught.value.faults]
    for where, what in (
        ("bad.dss:2: capacitor.c", "not modelled"),
        ("bad.dss:3: line.l1", "length = -3"),
        ("more.dss:2", "new line.l1"),
        ("more.dss:3", "zonelock"),
        ("bad.dss:5: line.l2", "bus2 = b.2"),
        ("bad.dss:6: load.x", "kw = abc"),
        ("bad.dss:6: load.x", "model = 5"),
        ("bad.dss:7: load.x", "colour"),
        ("bad.dss:8", "'open'"),
        ("bad.dss:9", "nowhere.dss"),
    ):
        assert any(where in line and what in line for line in said), (where, what, said)
    assert len(said) == 10


BASE = "New Circuit.c basekv=0.4 bus1=src\nNew Line.l bus1=src bus2=a\nNew Line.m bus1=a.1 bus2=b.1 phases=1\n"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("New Load.x phases=1 bus1=b.2 kw=1", "phase b at bus 'b'"),
        ("New Load.x phases=1 bus1=z.1 kw=1", "bus1 = z"),
        ("New Load.x phases=1 bus1=a.1.4 kw=1", "node 4 at bus 'a'"),
        ("New Load.x phases=2 bus1=a.1.1 kw=1", "bus1 = a.1.1 with 2 phases"),
        ("New Load.x phases=1 bus1=a.5 kw=1", "bus1 = a.5"),
        ("New Load.x bus1=a kw=1 conn=delta", "conn = delta"),
        ("New Load.x bus1=a kvar=1 kw=1", "kvar before kw"),
        ("New Line.n bus1=src bus2=b.1.2.3", "closes a loop"),
        ("New Line.n bus1=y bus2=z", "bus y"),
        ("New Line.n bus1=a bus2=z linecode=none", "linecode = none"),
        ("New Line.n bus1=b.1.2.3 bus2=z", "conductor b at bus 'b'"),
        ("New Line.n bus1=a bus2=z r1=0 x1=0 r0=0 x0=0", "no impedance"),
        ("New Line.n bus1=a bus2=z geometry=g", "geometry = g"),
        ("New Line.n bus1=a bus2=z basefreq=50", "basefreq = 50"),
        ("New Transformer.t buses=[a z] conns=[wye delta]", "winding 2 is a delta"),
        ("New Transformer.t buses=[z a] kvs=[10 .4]", "fed at its first winding"),
        ("New Transformer.t windings=3", "3 windings"),
        ("New Transformer.t buses=[a z.1.2.3.4] kvs=[.4 .4]", "neutral of bus 'z' without earth"),
        ("New Reactor.r phases=3 bus1=a", "one phase between"),
        ("New PVSystem.p bus1=a pmpp=10 kva=5", "above kva = 5"),
        ("New Load.x bus1=a like=y", "like = y"),
        ("New Reactor.r phases=1 bus1=z.4 bus2=z.0 r=1", "circuit.dss:4: reactor.r: bus 'z'"),
        ("Edit Circuit.c r1=1", "give one of these, whole"),
        ("Edit Vsource.Source mvasc3=1", "at most 3/2 of mvasc3"),
        ("Set loadmult=x", "loadmult = x"),
        ("Set loadmult=nan", "loadmult = nan; allowed: numbers"),
        ("Set voltagebases=[0.4 x]", "voltagebases = 0.4 x"),
        ("New Load.x phases=1 bus1=a.1 kw=1\nSet loadmult=[1 2]", "loadmult = 1 2; allowed: one number"),
        ("Set DefaultBaseFrequency=50", "after the first New"),
    ],
)
def test_faults_of_elements(line: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "circuit.dss"
    path.write_text(BASE + line)
    with pytest.raises(grid.InputError) as caught:
        grid.read_three_phase(path)
    assert said in str(caught.value)


def test_a_frequency_that_is_none_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "circuit.dss"
    path.write_text("Set DefaultBaseFrequency=0\n" + BASE)
    with pytest.raises(grid.InputError, match="defaultbasefrequency = 0; allowed: numbers above 0"):
        grid.read_three_phase(path)


def drop(table: str, column: str) -> Callable[[Any], None]:
    def change(net: Any) -> None:
        net[table] = net[table].drop(columns=column)

    return change


def put(table: str, column: str, value: Any) -> Callable[[Any], None]:
    def change(net: Any) -> None:
        net[table][column] = value

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (drop("line", "r0_ohm_per_km"), "table line: no column r0_ohm_per_km"),
        (drop("trafo", "vector_group"), "table trafo: no column vector_group"),
        (put("trafo", "vector_group", "YNd"), "vector_group = YNd"),
        (put("trafo", "shift_degree", 60.0), "shift_degree = 60"),
        (put("trafo", "vkr0_percent", 50.0), "vkr0_percent = 50 above"),
        (put("trafo", "tap_changer_type", "Ideal"), "tap_changer_type = Ideal"),
        (put("asymmetric_load", "p_a_mw", np.nan), "p_a_mw = nan"),
        (put("asymmetric_load", "type", "delta"), "type = delta"),
        (put("asymmetric_load", "bus", 77), "bus = 77"),
        (put("load", "const_z_p_percent", 50.0), "const_z_p_percent = 50"),
        (put("line", "in_service", False), "cut off from the slack"),
        (lambda net: pp.create_line(net, 4, 5, 0.1, "NAYY 4x50 SE"), "x0_ohm_per_km = nan"),
        (lambda net: pp.create_shunt(net, 4, 0.1), "shunt is not modelled"),
        (lambda net: pp.create_gen(net, 4, 0.1), "gen is not modelled"),
    ],
)
def test_faults_of_pandapower_grids(change: Callable[[Any], None], said: str) -> None:
    net = street()
    change(net)
    with pytest.raises(grid.InputError) as caught:
        grid.read_three_phase(net)
    assert said in str(caught.value)


def test_loops_and_open_ends() -> None:
    net = street()
    pp.create_line_from_parameters(
        net, 4, 5, 0.3, r_ohm_per_km=0.25, x_ohm_per_km=0.08, c_nf_per_km=260.0, max_i_ka=0.27, r0_ohm_per_km=0.9,
        x0_ohm_per_km=0.3, c0_nf_per_km=120.0, name="tie",
    )  # fmt: skip
    with pytest.raises(grid.InputError, match="closes a loop"):
        grid.read_three_phase(net)
    pp.create_switch(net, 5, 3, et="l", closed=False)
    case = grid.read_three_phase(net)
    assert case.network.n == 6, "spare is joined to lv, the open end of the tie is a bus"
    assert case.network.positions([1])[0] == case.network.positions([2])[0]
    with pytest.raises(grid.InputError, match="bus 99"):
        case.network.positions([99])
