"""Branches of three-phase feeders from sequence or phase data, and their assembly to a radial network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from grid.arrays import Array, BoolArray, ComplexArray
from grid.errors import Fault, require
from grid.unbalanced_network import PHASES, UnbalancedNetwork

CONDUCTORS = (*PHASES, "n")
_A = np.exp(-2j * np.pi / 3 * np.outer(range(3), range(3)))  # phases from sequences 0, 1, 2
_A_INVERSE = np.linalg.inv(_A)


def from_sequences(zero: complex, positive: complex, negative: complex | None = None) -> ComplexArray:
    """(3, 3) phase matrix of a quantity given by sequences; the negative equals the positive by default."""
    middle = np.array([zero, positive, positive if negative is None else negative])
    matrix = (_A * middle) @ _A_INVERSE
    return np.asarray(matrix)


def widened(matrix: ComplexArray | Array, w: int) -> ComplexArray:
    """A matrix of the phases with a zero row and column for the neutral where w = 4."""
    out = np.zeros((w, w), dtype=np.complex128)
    out[: len(matrix), : len(matrix)] = matrix
    return out


@dataclass(frozen=True)
class Pi:
    """Series impedance z and shunts y_from, y_to of one sequence of a transformer [pu of the lower end]."""

    z: complex
    y_from: complex = 0.0
    y_to: complex = 0.0


def tee(z_from: complex, z_to: complex, z_middle: complex) -> Pi:
    """The pi circuit of two series impedances with one to earth between them."""
    total = z_from * z_to + (z_from + z_to) * z_middle
    return Pi(total / z_middle, z_to / total, z_from / total)


@dataclass(frozen=True, eq=False)
class Branch:
    """One branch before the tree is known; matrices as in ``UnbalancedNetwork``, in pu of the end they stand at.

    ``wires`` are the conductors at the lower end, ``needs`` those that the upper end must have. A transformer can only
    be fed from its upper end, a line from both.
    """

    kind: str
    name: str
    upper: str
    lower: str
    k: Array
    z: ComplexArray
    y_from: ComplexArray
    y_to: ComplexArray
    wires: BoolArray
    needs: BoolArray
    i_max_a: float = np.inf
    s_max_kva: float = np.inf

    @property
    def label(self) -> str:
        return f"{self.kind} {self.name!r}"

    @property
    def works_both_ways(self) -> bool:
        """A line with the same conductors at both ends."""
        return self.kind == "line" and bool((self.wires == self.needs).all())

    def turned(self) -> Branch:
        """The same line seen from its other end."""
        return replace(
            self, upper=self.lower, lower=self.upper, y_from=self.y_to, y_to=self.y_from, wires=self.needs,
            needs=self.wires,
        )  # fmt: skip


def line(
    name: str, ends: tuple[str, str], z: ComplexArray, y: ComplexArray, wires: BoolArray, i_max_a: float = np.inf
) -> Branch:
    """A line or cable with series impedance z and total shunt admittance y (w, w) [pu], zero where it has no wire."""
    return Branch("line", name, *ends, np.diag(wires.astype(float)), z, y / 2, y / 2, wires, wires, i_max_a)


def transformer(
    name: str,
    ends: tuple[str, str],
    ratio: float,
    shift_degree: float,
    couples_zero: bool,
    zero: Pi,
    positive: Pi,
    *,
    w: int = 3,
    neutral: complex | None = None,
    s_max_kva: float = np.inf,
) -> Branch:
    """A two-winding transformer with an earthed star at its lower end.

    By sequences V_low = k V_up - z I with k_1 = ratio exp(-j shift), k_2 its conjugate, and k_0 = +- ratio when both
    windings are stars with a neutral, else 0: a delta or a star without neutral takes no zero sequence.

    Args:
        name, ends: upper bus, lower bus.
        ratio: voltage at the lower end per voltage at the upper end [pu / pu] without load.
        shift_degree: by which the lower end lags, a multiple of 30, of 60 between stars.
        couples_zero: zero sequence passes (YNyn).
        zero, positive: circuits seen from the lower end; their y_from counts there, too.
        w: conductors of the feeder.
        neutral: impedance between star point and earth [pu] where the star point is a conductor of the lower bus.
        s_max_kva: rating.
    """
    turn = np.exp(-1j * np.deg2rad(shift_degree))
    k_zero = (1.0 if round(shift_degree / 60.0) % 2 == 0 else -1.0) if couples_zero else 0.0
    k = ratio * from_sequences(k_zero, turn, np.conj(turn)).real
    z, y_to = (widened(from_sequences(*pair), w) for pair in ((zero.z, positive.z), (zero.y_to, positive.y_to)))
    y_from = widened(from_sequences(zero.y_from if couples_zero else 0.0, positive.y_from), w) * ratio**2
    wires = np.arange(w) < 3
    if neutral is not None:
        z, y_to, wires = z + neutral, _to_star_point(y_to), np.ones(w, dtype=np.bool_)
    needs = np.arange(w) < 3
    return Branch("trafo", name, *ends, widened(k, w).real, z, y_from, y_to, wires, needs, s_max_kva=s_max_kva)


def _to_star_point(y: ComplexArray) -> ComplexArray:
    """Admittances between phases and neutral instead of phases and earth."""
    tie = np.eye(4)
    tie[:3, 3] = -1.0
    tie[3, 3] = 0.0
    return np.asarray(tie.T @ y @ tie)


@dataclass(frozen=True, eq=False)
class Bus:
    """A bus before the tree is known, under the label that branches use."""

    name: str
    base_kv: float
    indices: tuple[int, ...] = ()
    shunt: dict[tuple[int, int], complex] = field(default_factory=dict)


def assemble(
    name: str,
    buses: Mapping[str, Bus],
    branches: Sequence[Branch],
    slack: str,
    v_slack: ComplexArray,
    notes: Sequence[str] = (),
) -> tuple[UnbalancedNetwork, dict[str, int]]:
    """Order buses and branches from the slack, and the position of every bus label.

    Raises:
        InputError: loops, buses that are cut off, transformers fed from the wrong side, conductors that the bus above
            does not have; all of them.
    """
    above = _from_slack(buses, branches, slack)
    order = list(above)
    position = {label: i for i, label in enumerate(order)}
    tree = [branch for branch in above.values() if branch is not None]
    w = len(v_slack)
    shunt = np.zeros((len(order), w, w), dtype=np.complex128)
    for i, label in enumerate(order):
        for place, value in buses[label].shunt.items():
            shunt[i][place] += value
    known = sorted((index, position[label]) for label in order for index in buses[label].indices)
    network = UnbalancedNetwork(
        name=name,
        bus_names=tuple(buses[label].name for label in order),
        buses=np.array([min(buses[label].indices, default=-1) for label in order], dtype=np.int64),
        known_buses=np.array([index for index, _ in known], dtype=np.int64),
        known_positions=np.array([place for _, place in known], dtype=np.int64),
        base_kv=np.array([buses[label].base_kv for label in order]),
        wires=_wires(buses, tree, position, w),
        v_slack=v_slack,
        parent=np.array([-1] + [position[branch.upper] for branch in tree], dtype=np.int64),
        k=np.array([branch.k for branch in tree], dtype=np.float64).reshape(-1, w, w),
        z=_stacked([branch.z for branch in tree], w),
        y_from=_stacked([branch.y_from for branch in tree], w),
        y_to=_stacked([branch.y_to for branch in tree], w),
        shunt_y=shunt,
        branch_kinds=tuple(branch.kind for branch in tree),
        branch_names=tuple(branch.name for branch in tree),
        i_max_a=np.array([branch.i_max_a for branch in tree], dtype=np.float64),
        s_max_kva=np.array([branch.s_max_kva for branch in tree], dtype=np.float64),
        notes=tuple(notes),
    )
    return network, position


def _stacked(matrices: Sequence[ComplexArray], w: int) -> ComplexArray:
    return np.array(matrices, dtype=np.complex128).reshape(-1, w, w)


def _wires(buses: Mapping[str, Bus], tree: Sequence[Branch], position: Mapping[str, int], w: int) -> BoolArray:
    """(n, w) conductors that each bus is fed with."""
    wires = np.zeros((len(position), w), dtype=np.bool_)
    wires[0, :3] = True
    faults = []
    for i, branch in enumerate(tree, start=1):
        wires[i] = branch.wires
        for c in np.flatnonzero(branch.needs & ~wires[position[branch.upper]]):
            where = f"conductor {CONDUCTORS[c]} at bus {buses[branch.upper].name!r}"
            faults.append(Fault(branch.label, where, "a conductor that is fed there", "correct the phases"))
    require(faults)
    return wires


def _from_slack(buses: Mapping[str, Bus], branches: Sequence[Branch], slack: str) -> dict[str, Branch | None]:
    """The branch above every bus, downwards, in depth-first preorder of the buses; None above the slack."""
    at: dict[str, list[Branch]] = {label: [] for label in buses}
    for branch in branches:
        at[branch.upper].append(branch)
        at[branch.lower].append(branch)
    above: dict[str, Branch | None] = {}
    used: set[int] = set()
    faults: list[Fault] = []
    waiting: list[tuple[str, Branch | None]] = [(slack, None)]
    while waiting:
        label, reached_by = waiting.pop()
        where = f"at bus {buses[label].name!r}"
        if reached_by is not None and label in above:
            remedy = "open one branch of the loop"
            faults.append(Fault(reached_by.label, f"closes a loop {where}", "a radial feeder", remedy))
            continue
        above[label] = reached_by
        for branch in reversed(at[label]):
            if id(branch) in used:
                continue
            used.add(id(branch))
            down = branch if branch.upper == label else branch.turned()
            if down is not branch and not branch.works_both_ways:
                found = f"fed {where}, its lower end"
                faults.append(Fault(branch.label, found, "fed at its upper end", "exchange its ends"))
            waiting.append((down.lower, down))
    faults += [
        Fault(f"bus {bus.name!r}", "cut off from the slack", "supplied buses", "connect or remove it")
        for label, bus in buses.items()
        if label not in above
    ]
    require(faults)
    return above
