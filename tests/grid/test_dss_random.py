"""Random OpenDSS feeders, three or four wires, any transformer, line data and units: equal to OpenDSS itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import grid


class Drawn:
    """A random script; buses from ``lv`` downwards with the nodes that they have."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.four = bool(self.rng.random() < 0.5)
        self.buses: dict[str, list[int]] = {"lv": [1, 2, 3, 4] if self.four else [1, 2, 3]}
        self.lines = ["Clear", f"Set DefaultBaseFrequency={self.one_of(50, 60)}"]

    def one_of(self, *choices: Any) -> Any:
        return choices[self.rng.integers(len(choices))]

    def number(self, low: float, high: float) -> str:
        return f"{self.rng.uniform(low, high):.4f}"

    def matrix(self, own: float, mutual: float, n: int) -> str:
        rows = [[(own if i == j else mutual) * self.rng.uniform(0.9, 1.1) for j in range(i + 1)] for i in range(n)]
        return "[" + " | ".join(" ".join(f"{value:.6f}" for value in row) for row in rows) + "]"

    def source_and_transformer(self) -> None:
        number, conn, imag = self.number, self.one_of("Delta", "Wye"), self.one_of(0, 2)
        open_star = conn == "Wye" and imag and self.rng.random() < 0.5
        self.lines += [
            f"New Circuit.drawn bus1=Src basekv=11 pu={number(0.97, 1.05)} angle={number(-40, 40)} "
            f"mvasc3={number(100, 400)} mvasc1={number(50, 140)} x1r1={number(1, 6)}",
            f"New Line.hv bus1=hv bus2=src r1=.2 x1=.3 r0=.6 x0=.9 c1={number(0, 300)} c0=100 length={number(0.1, 3)}",
            f"New Transformer.t phases=3 windings=2 leadlag={self.one_of('lead', 'euro', 'lag')} xhl={number(3, 7)} "
            f"%imag={imag} %noloadloss={self.one_of(0, 0.4)} ppm_antifloat={self.one_of(0, 1, 5)}",
            f"~ wdg=1 bus=HV{'.1.2.3.4' if open_star else ''} conn={conn} kv=11 kva=400 %r={number(0.3, 1)} tap=1.025",
            f"~ wdg=2 bus=lv{'.1.2.3.4' if self.four else ''} conn=wye kv=.416 kva=400 %r=.5 tap={number(0.97, 1.03)}",
        ]
        if self.four and self.rng.random() < 0.5:
            self.lines.append(f"~ rneut={number(0.5, 5)} xneut=.2")
        elif self.four:
            self.lines.append(f"New Reactor.e phases=1 bus1=lv.4 bus2=lv.0 r={number(0.5, 5)} x={number(0, 0.5)}")

    def line(self, i: int) -> None:
        """A line to a new bus from one of the last, with some of its phases in any order, given in any way."""
        known = list(self.buses)
        up = known[self.rng.integers(max(0, len(known) - 4), len(known))]
        phases = [node for node in self.buses[up] if node < 4]
        if self.rng.random() < 0.4:
            phases = sorted(self.rng.choice(phases, self.rng.integers(1, len(phases) + 1), replace=False).tolist())
        self.rng.shuffle(phases)
        nodes = phases + [4] * (4 in self.buses[up])
        n, text = len(nodes), ".".join(map(str, nodes))
        ends = [f"{up}.{text}", f"b{i}.{text}"][:: self.one_of(1, -1)]
        unit, long = self.one_of(("km", 1.0), ("m", 1e3), ("ft", 3280.84))
        length = f"length={self.rng.uniform(0.02, 0.2) * long:.5f} units={unit}"
        data = [f"r1=.25 x1=.1 r0=.8 x0=.3 c1=100 c0=50 length={self.number(0.02, 0.2)}", "switch=y"]
        if n == len(self.buses["lv"]):
            data += [f"linecode=whole {length}"] * 2
        data.append(
            f"rmatrix={self.matrix(0.3, 0.05, n)} xmatrix={self.matrix(0.1, 0.03, n)} cmatrix={self.matrix(90, -9, n)} "
            f"length={self.number(0.02, 0.2)}"
        )
        self.lines.append(f"New Line.l{i} bus1={ends[0]} bus2={ends[1]} phases={n} {self.one_of(*data)}")
        self.buses[f"b{i}"] = nodes
        if 4 in nodes and self.rng.random() < 0.3:
            self.lines.append(f"New Reactor.g{i} phases=1 bus1=b{i}.4 bus2=b{i}.0 r={self.number(1, 20)} x=0")

    def injection(self, i: int) -> None:
        bus = self.one_of(*self.buses)
        phases = [node for node in self.buses[bus] if node < 4]
        nodes = self.rng.choice(phases, self.rng.integers(1, len(phases) + 1), replace=False).tolist()
        n, last = len(nodes), ".4" if 4 in self.buses[bus] else self.one_of("", ".0")
        place = f"phases={n} bus1={bus}.{'.'.join(map(str, nodes))}{last} kv={0.24 if n == 1 else 0.416}"
        kw, extra = self.number(0.3 * n, 3 * n), self.one_of("pf=.95", "pf=-.9", "kvar=.4", "kvar=-.3", "")
        wide = "vminpu=.1 vmaxpu=2"
        panel = f"kva={6 * n} pmpp={5 * n} irradiance={self.number(0.1, 1.1)} %pmpp=80 pf={self.one_of(1, 0.95, -0.95)}"
        self.lines.append(
            self.one_of(
                f"New Load.x{i} {place} kw={kw} {extra} {wide} vlowpu=.05",
                f"New Generator.x{i} {place} kw={kw} {extra} model=1 {wide}",
                f"New PVSystem.x{i} {place} {panel} %cutin=40 %cutout=20 {wide}",
            )
        )

    def script(self) -> str:
        self.source_and_transformer()
        n, kft = len(self.buses["lv"]), 0.3048
        r, x, c = (self.matrix(own * kft, mutual * kft, n) for own, mutual in ((0.3, 0.08), (0.15, 0.05), (200, -20)))
        self.lines.append(f"New Linecode.whole nphases={n} units=kft rmatrix={r} xmatrix={x} cmatrix={c}")
        for i in range(12):
            self.line(i)
        for i in range(10):
            self.injection(i)
        return "\n".join([*self.lines, "Set loadmult=0.8", "Set VoltageBases=[11 .4]", "CalcVoltageBases", "Solve"])


@pytest.mark.parametrize("seed", range(40))
def test_random_feeders_equal_opendss(seed: int, tmp_path: Path) -> None:
    dss = pytest.importorskip("dss").dss
    path = tmp_path / "drawn.dss"
    path.write_text(Drawn(seed).script())
    case = grid.read_three_phase(path)
    at, p, q = case.bus_sums()
    flow = grid.unbalanced_flow(case.network, p, q, at=at, tol=1e-12)
    for command in (f'redirect "{path}"', "set tolerance=1e-10", "set maxiterations=500", "solve"):
        dss.Text.Command = command
    circuit = dss.ActiveCircuit
    found = np.array(circuit.AllBusVolts)
    nodes = dict(zip(circuit.AllNodeNames, found[0::2] + 1j * found[1::2], strict=True))
    ours = {
        f"{case.network.bus_names[i]}.{c + 1}": flow.v[i, c, 0] * case.network.base_kv[i] * 1e3 / np.sqrt(3)
        for i, c in np.argwhere(case.network.wires)
        if i > 0
    }
    assert ours.keys() == nodes.keys() - {"hv.4"}, "an open star point is no conductor of the feeder"
    if not circuit.Solution.Converged:  # loads that the zero sequence of an open star cannot carry
        assert not flow.converged.any()
        return
    flow.require()
    assert max(abs(v - nodes[name]) for name, v in ours.items() if name[:2] != "hv" and name[:3] != "src") < 2.3e-6
    assert max(abs(v - nodes[name]) for name, v in ours.items()) < 6e-5, "1e-8 of 11 kV / sqrt(3)"
