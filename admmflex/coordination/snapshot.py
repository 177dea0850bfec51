"""The whole state of a coordination at the end of a round, as arrays that any number of ranks can take up.

The name of an array says how the ranks hold it:

    same/...     alike on every rank, written by rank 0
    power/...    (2, n, K) of the rank's prosumers
    home/...     (n,) of the rank's prosumers
    way/W/...    (n_W, ...) trajectories of the prosumers that the response W answers for
    step/...     (K_own, ...) of the rank's steps
    volt/...     (n_bus, K_own) voltages in the rank's steps
    rows/D/...   (M, ...) rows of the working set D, by step
    sum/...      parts of a sum
    rank/...     what an iterative response goes on from, in the order of the rank: only for the same number of ranks
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from admmflex.coordination.averages import Kept
from admmflex.coordination.community import Answer, Plan
from admmflex.coordination.mixing import Mix
from admmflex.dso import Dso
from admmflex.dso.rows import row_keys
from admmflex.horizon import Array, IntArray
from grid.linear import linearise

if TYPE_CHECKING:
    from admmflex.coordination.admm import Admm
    from admmflex.coordination.exchange import Exchange

AnyArray = NDArray[Any]
States = tuple[dict[str, Array], ...]
Trajectory = tuple[Array, States]
ROWS = ("step", "kind", "index", "direction", "nu", "idle", "value", "margin", "gradient")
AXES = {"power": 1, "home": 0, "step": 0, "volt": 1}
BY_PROSUMER = ("power", "home")
NUMBERS = ("rho", "mixed_rho", "_price_norm", "_someone_held")


@dataclass(frozen=True)
class Part:
    """What one rank wrote: its prosumers and steps, counted over all ranks, and a way to read an array by name."""

    prosumers: range
    steps: range
    read: Callable[[str], AnyArray]


def numbers(admm: Admm) -> dict[str, Any]:
    """What is alike on every rank and no array."""
    mixer, best, averaging = admm.mixer, admm.best, admm.averaging
    return {
        **{name: getattr(admm, name) for name in NUMBERS},
        "cold": admm.cold,
        "asked": admm.exchange.answers,
        "answers": len(admm.memory.answers),
        "costs": len(mixer.costs) if mixer else 0,
        "mixed": bool(mixer and mixer.last is not None),
        "best": None if best is None else [best[0].cost, best[0].slack, best[1].cost],
        "baseline": None if admm.baseline is None else admm.baseline.cost,
        "averaged": [averaging.averages.rounds, len(averaging.averages.blocks)] if averaging else [0, 0],
        "heard": admm.exchange.trust.last is not None,
        "held": [admm.exchange.held, admm.exchange.newly],
        "history": admm.history,
    }


def arrays(admm: Admm) -> dict[str, AnyArray]:
    """The rank's part. No copies are made: write it before the next round."""
    found: dict[str, AnyArray] = {"power/z": admm.exchange.z, "step/z": admm.bus_z, "step/price": admm.bus_price}
    trust = admm.exchange.trust
    found |= {"home/held": trust.held, "home/misses": trust.misses, "sum/missed": np.array([trust.missed])}
    responses, mixer = admm.community.population.responses, admm.mixer
    for number, (y, states, cost) in enumerate(_trajectories(admm)):
        found[f"power/y{number}"] = y
        found |= {} if cost is None else {f"home/cost{number}": cost}
        for response, state in zip(responses, states, strict=True):
            found |= {f"way/{response.way}/{name}{number}": value for name, value in state.items()}
    for response in responses:
        found[f"member/{response.way}"] = response.rows
        found |= {f"rank/{response.way}/{name}": value for name, value in response.warm().items()}
    found |= _of_dso("grid", admm.dso)
    if mixer is not None:
        found |= _of_dso("mixer", mixer.dso)
        found |= {f"step/answer{a}": x for a, x in enumerate(mixer.answers)}
        found |= {} if mixer.last is None else {"step/last": mixer.last}
    if admm.averaging is not None:
        found |= {f"step/mean{b}": block.own for b, block in enumerate(admm.averaging.averages.blocks)}
    if admm.best is not None:
        mix = admm.best[0]
        found |= {"step/best_x": mix.x, "step/best_price": mix.price, "sum/best_least": np.array([mix.least])}
    return found | (_same(admm) if admm.comm.rank == 0 else {})


def restore(admm: Admm, told: Mapping[str, Any], parts: Sequence[Part]) -> None:
    """Put a new coordination of the same day where another one was.

    Args:
        told: its ``numbers``.
        parts: of all its ranks, in their order.
    """
    taken = _Taken(admm, parts)
    for name in NUMBERS:
        setattr(admm, name, told[name])
    admm.cold, admm.history, admm.exchange.answers = told["cold"], list(told["history"]), told["asked"]
    admm.price, admm.exchange.z = taken.same("price"), taken.along("power/z")
    admm.bus_z, admm.bus_price = taken.along("step/z"), taken.along("step/price")
    trajectories = taken.trajectories()
    admm.memory.answers = [Answer(*next(trajectories), taken.along(f"home/cost{a}")) for a in range(told["answers"])]
    _restore_trust(admm.exchange, told, taken, trajectories)
    if told["best"] is not None:
        cost, slack, plan_cost = told["best"]
        least = taken.total("best_least") if admm.comm.rank == 0 else 0.0
        at = taken.along("step/best_x"), taken.along("step/best_price")
        excess = taken.same("best_excess")
        mix = Mix(taken.same("best_weights"), at[0], cost, excess, slack, at[1], least)
        admm.best = mix, Plan(*next(trajectories), plan_cost, taken.same("best_plan_excess"))
    if told["baseline"] is not None:
        admm.baseline = Plan(*next(trajectories), told["baseline"], taken.same("baseline_excess"))
    if admm.averaging is not None:
        rounds, blocks = told["averaged"]
        kept = [Kept(*next(trajectories), taken.along(f"step/mean{b}")) for b in range(blocks)]
        admm.averaging.averages.restore(rounds, kept)
    _restore_dso(admm.dso, "grid", taken)
    if admm.mixer is not None:
        _restore_dso(admm.mixer.dso, "mixer", taken)
        count = told["costs"]
        admm.mixer.answers = [taken.along(f"step/answer{a}") for a in range(count)]
        admm.mixer.costs = list(taken.same("costs")) if count else []
        admm.mixer.used = taken.same("used").tolist() if count else []
        admm.mixer.last = taken.along("step/last") if told["mixed"] else None
    taken.warm()


def _restore_trust(
    exchange: Exchange, told: Mapping[str, Any], taken: _Taken, trajectories: Iterator[Trajectory]
) -> None:
    """Who is held, and what stands in for them. Reasons are told anew by the next question."""
    trust = exchange.trust
    trust.held = taken.along("home/held").astype(np.bool_)
    trust.misses = taken.along("home/misses").astype(np.int64)
    trust.able = trust.community.flexible & ~trust.held[:, None]
    trust.missed = int(taken.total("missed")) if exchange.comm.rank == 0 else 0
    exchange.held, exchange.newly = told["held"]
    if told["heard"]:
        trust.last = Answer(*next(trajectories), taken.along(f"home/cost{told['answers']}"))


def _trajectories(admm: Admm) -> Iterator[tuple[Array, States, Array | None]]:
    """All answers and plans that are kept, in the order in which ``restore`` wants them; costs of answers only."""
    last = admm.exchange.trust.last
    yield from ((one.y, one.states, one.cost) for one in (*admm.memory.answers, *([] if last is None else [last])))
    for plan in (admm.best[1] if admm.best else None, admm.baseline):
        if plan is not None:
            yield plan.y, plan.states, None
    if admm.averaging is not None:
        yield from ((block.y, block.states, None) for block in admm.averaging.averages.blocks)


def _same(admm: Admm) -> dict[str, AnyArray]:
    found: dict[str, AnyArray] = {"same/price": admm.price}
    if admm.mixer is not None and admm.mixer.costs:
        found |= {"same/costs": np.array(admm.mixer.costs), "same/used": np.array(admm.mixer.used)}
    if admm.best is not None:
        mix, plan = admm.best
        found |= {
            "same/best_weights": mix.weights,
            "same/best_excess": mix.excess,
            "same/best_plan_excess": plan.excess,
        }
    if admm.baseline is not None:
        found["same/baseline_excess"] = admm.baseline.excess
    return found


def _of_dso(name: str, dso: Dso) -> dict[str, AnyArray]:
    """Operating point and working set.

    Values and gradients follow from them but for the last bit, which some days blow up to 1e-3 within a hundred rounds.
    """
    found: dict[str, AnyArray] = {f"rows/{name}/{column}": getattr(dso.rows, column) for column in ROWS}
    found |= {f"step/{name}/origin": dso.origin}
    for label, v in (("lin", None if dso.lin is None else dso.lin.v), ("flow", dso.last_v)):
        found |= {} if v is None else {f"volt/{name}/{label}": v}
    return found


def _restore_dso(dso: Dso, name: str, taken: _Taken) -> None:
    rows = dso.rows
    for column, values in taken.rows(name).items():
        setattr(rows, column, values)
    rows.key = row_keys(rows.limits, rows.step, rows.kind, rows.index, rows.direction)
    dso.origin = taken.along(f"step/{name}/origin")
    v = taken.voltages(f"volt/{name}/lin")
    dso.last_v = taken.voltages(f"volt/{name}/flow")
    if v is not None:
        dso.lin = linearise(dso.network, v, *dso.spread(dso.origin))
        dso.guard.renew(dso.lin)


class _Taken:
    """What one rank takes of the parts of others."""

    def __init__(self, admm: Admm, parts: Sequence[Part]) -> None:
        self.admm, self.parts = admm, parts
        comm, n = admm.comm, admm.exchange.z.shape[1]
        before = comm.stack(np.array([[float(n)]]))[: comm.rank, 0].sum()
        self.prosumers = range(int(before), int(before) + n)
        steps = admm.exchange.steps
        self.steps = range(steps.start, steps.stop)
        self.members = {
            response.way: self._members(response.way, response.rows + self.prosumers.start)
            for response in admm.community.population.responses
        }

    def same(self, name: str) -> Array:
        return self.parts[0].read(f"same/{name}")

    def total(self, name: str) -> float:
        return float(sum(part.read(f"sum/{name}").sum() for part in self.parts))

    def along(self, name: str) -> Array:
        """The rank's own range of what is cut along prosumers or steps."""
        kind = name.split("/")[0]
        axis, pieces = AXES[kind], []
        for part in self.parts:
            theirs, own = (part.prosumers, self.prosumers) if kind in BY_PROSUMER else (part.steps, self.steps)
            low = max(theirs.start, own.start)
            size = max(min(theirs.stop, own.stop) - low, 0)
            if size or part is self.parts[0]:  # a rank may own nothing: the first one tells the shape
                first = low - theirs.start if size else 0
                pieces.append(part.read(name)[(slice(None),) * axis + (slice(first, first + size),)])
        return np.ascontiguousarray(np.concatenate(pieces, axis=axis))

    def voltages(self, name: str) -> Any:
        """(n_bus, K_own), None where any rank had none."""
        try:
            return self.along(name)
        except KeyError:
            return None

    def rows(self, name: str) -> dict[str, AnyArray]:
        """Columns of the working set in the rank's own steps."""
        columns: dict[str, list[AnyArray]] = {column: [] for column in ROWS}
        for part in self.parts:
            step = part.read(f"rows/{name}/step") + part.steps.start
            mine = (step >= self.steps.start) & (step < self.steps.stop)
            for column, pieces in columns.items():
                values = step - self.steps.start if column == "step" else part.read(f"rows/{name}/{column}")
                pieces.append(values[mine])
        return {column: np.concatenate(pieces) for column, pieces in columns.items()}

    def trajectories(self) -> Iterator[Trajectory]:
        """Kept answers one by one."""
        shapes = self.admm.community.population.state()
        ways = [response.way for response in self.admm.community.population.responses]
        number = 0
        while True:
            states = tuple(
                {name: self._of_way(way, f"{name}{number}", like) for name, like in shape.items()}
                for way, shape in zip(ways, shapes, strict=True)
            )
            yield self.along(f"power/y{number}"), states
            number += 1

    def warm(self) -> None:
        """Iterative responses go on where they were; on another number of ranks they begin anew."""
        if len(self.parts) != self.admm.comm.size:
            return
        for response in self.admm.community.population.responses:
            for name, array in response.warm().items():
                array[...] = self.parts[self.admm.comm.rank].read(f"rank/{response.way}/{name}")

    def _members(self, way: str, wanted: IntArray) -> list[tuple[Part, IntArray, IntArray]]:
        """By part: which of its rows of a way belong to which of the rank's."""
        found = []
        for part in self.parts:
            try:
                theirs = part.read(f"member/{way}") + part.prosumers.start
            except KeyError:
                continue
            _, from_, to = np.intersect1d(theirs, wanted, assume_unique=True, return_indices=True)
            if len(from_):
                found.append((part, from_.astype(np.int64), to.astype(np.int64)))
        return found

    def _of_way(self, way: str, name: str, like: Array) -> Array:
        """Trajectories of a way, in the rank's order; ranks whose prosumers have fewer devices hold fewer of them."""
        values = np.zeros_like(like)
        for part, from_, to in self.members[way]:
            theirs = part.read(f"way/{way}/{name}")
            common = tuple(slice(min(a, b)) for a, b in zip(theirs.shape[1:], like.shape[1:], strict=True))
            cut = np.zeros((len(to), *like.shape[1:]))
            cut[(slice(None), *common)] = theirs[from_][(slice(None), *common)]
            values[to] = cut
        return values
