"""A million prosumers for a day: ``python -m experiments.million.run [--ranks 2]``.

A real medium-voltage grid with its 90 real low-voltage grids and 7031 loads, as often as needed, side by side behind
one high-voltage busbar; everywhere else owners of other PV plants and batteries. The copies share nothing but that
busbar, whose voltage is given, so they are coordinated one after the other, each as a region: a rank draws a copy,
coordinates it, checks it by an AC power flow of the whole copy, and keeps a line of numbers. Every line is written at
once; a run that was interrupted goes on where it stopped.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import resource
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn
from rich.table import Table

import grid
from admmflex import scenario
from admmflex.comm import Comm, SerialComm, default_comm
from admmflex.coordination.region import Agreement, Region
from admmflex.coordination.settings import AdmmSettings
from admmflex.launch import mpirun, surroundings
from experiments.million.streets import Adoption, Template, copy, template

REGION = Path(__file__).parents[1] / "region" / "day.yaml"
COPIES = 143  # of 7031 prosumers: 1,005,433
DEFAULT = Adoption()


@dataclass(frozen=True)
class Line:
    """One copy of the region.

    Args:
        congested: areas that broke a limit or were asked again for the sake of others.
        asked: answers of all prosumers together.
        cost_eur, bound_eur: of the plan, and what no plan undercuts.
        over_pu, under_pu, over_loading: beyond the limits in an AC power flow of the whole copy.
        draw_s, first_s, rounds_s, check_s: processor time.
        wall_s: of all.
    """

    copy: int
    status: str
    prosumers: int
    areas: int
    congested: int
    rounds: int
    asked: int
    cost_eur: float
    bound_eur: float
    over_pu: float
    under_pu: float
    over_loading: float
    draw_s: float
    first_s: float
    rounds_s: float
    check_s: float
    wall_s: float


def coordinate(one: Template, number: int, seed: int, adoption: Adoption) -> Line:
    """Draw a copy, coordinate and check it."""
    begin, clock = time.perf_counter(), [time.process_time()]
    members, trunk = copy(one, seed, number, adoption)
    clock.append(time.process_time())
    region = Region(members, trunk, SerialComm(), AdmmSettings(), lambda record: None)
    clock.append(time.process_time())
    found = region.run()
    clock.append(time.process_time())
    over, under, loading = _checked(one, found)
    clock.append(time.process_time())
    draw, first, rounds, check = np.diff(clock).tolist()
    prosumers = sum(len(member.community.bus) for member in members)
    congested = sum(not agent.resting for agent in found.agents)
    bound = np.nan if found.lower_bound is None else found.lower_bound
    return Line(
        number, found.status, prosumers, len(members), congested, found.rounds, found.asked, found.cost, bound,
        over, under, loading, draw, first, rounds, check, time.perf_counter() - begin,
    )  # fmt: skip


def _checked(one: Template, found: Agreement) -> tuple[float, float, float]:
    """Excess over the limits, in an AC power flow of the whole grid that no area or trunk takes part in."""
    network, limits = one.study.network, one.study.limits
    injection = np.zeros((2, network.n, one.study.horizon.steps))
    for agent, position in zip(found.agents, one.position, strict=True):
        for part, powers in zip(injection, agent.plan.y, strict=True):
            np.add.at(part, position, powers)
    flow = grid.power_flow(network, injection[0], injection[1]).require()
    high, low, loading = (float(part.max()) for part in limits.excess(flow.v))
    return high, low, loading


def share(one: Template, numbers: list[int], folder: Path, seed: int, adoption: Adoption, comm: Comm) -> None:
    """Coordinate the copies of a rank, a line in its file for each."""
    console = Console(stderr=True, quiet=comm.rank > 0)
    columns = ("copies of rank 0", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    gc.freeze()  # the template stays
    with Progress(*columns, console=console) as bar, (folder / f"rank{comm.rank}.jsonl").open("a") as file:
        file.write("\n")  # ends what an interrupted run may have left
        for number in bar.track(numbers):
            file.write(json.dumps(asdict(coordinate(one, number, seed, adoption))) + "\n")
            file.flush()
            gc.collect()  # a copy is full of cycles, and the next one needs its memory


def read(folder: Path) -> list[Line]:
    """All lines of all ranks; one that was cut off half-way does not count."""
    lines = []
    for text in (text for file in sorted(folder.glob("rank*.jsonl")) for text in file.read_text().splitlines()):
        with contextlib.suppress(json.JSONDecodeError):
            lines.append(Line(**json.loads(text)))
    return sorted(lines, key=lambda line: line.copy)


def show(lines: list[Line], seconds: float, ranks: int, memory_gb: float, console: Console) -> None:
    """What came out, as a table."""
    total = {name: sum(getattr(line, name) for line in lines) for name in ("prosumers", "areas", "congested", "asked")}
    cost, bound = sum(line.cost_eur for line in lines), sum(line.bound_eur for line in lines)
    worst = [max(getattr(line, name) for line in lines) for name in ("over_pu", "under_pu", "over_loading")]
    rounds = np.array([line.rounds for line in lines])
    table = Table(show_header=False)
    rows = {
        "prosumers x steps": f"{total['prosumers']:,} x 96 in {total['areas']:,} areas",
        "congested": f"{total['congested']:,} areas ({total['congested'] / total['areas']:.1%})",
        "settled": f"{sum(line.status == 'optimal' for line in lines)} of {len(lines)} copies",
        "gap to the lower bound": f"{(cost - bound) / abs(cost):.3%}",
        "beyond the limits": f"{max(worst[0], worst[1], 0.0):.1e} pu, {max(worst[2], 0.0):.2%} of a rating",
        "answers per prosumer": f"{total['asked'] / total['prosumers']:.2f}",
        "rounds": f"{np.median(rounds):.0f} (median), {rounds.max()} (most)",
        "processor time": ", ".join(
            f"{name[:-2]} {sum(getattr(line, name) for line in lines):.0f} s"
            for name in ("draw_s", "first_s", "rounds_s", "check_s")
        ),
        "wall clock": f"{seconds:.0f} s on {ranks} rank{'s' * (ranks > 1)}",
        "memory": f"{memory_gb:.2f} GB at most, per rank",
    }
    for name, value in rows.items():
        table.add_row(name, value)
    console.print(table)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m experiments.million.run", description=__doc__)
    parser.add_argument("--copies", type=int, default=COPIES, help="of the region, 7031 prosumers each")
    parser.add_argument("--ranks", type=int, default=1, help="MPI ranks that share the copies")
    parser.add_argument("--adoption", type=float, nargs=2, default=(DEFAULT.least, DEFAULT.most), metavar="SHARE",
                        help="least and most homes with PV in an area")  # fmt: skip
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("results/million"), help="a line per copy is kept here")
    chosen = parser.parse_args()
    if chosen.ranks > 1:
        command = [str(mpirun()), "-n", str(chosen.ranks), sys.executable, "-m", "experiments.million.run"]
        given = ["--copies", chosen.copies, "--seed", chosen.seed, "--out", chosen.out, "--adoption", *chosen.adoption]
        raise SystemExit(subprocess.run([*command, *map(str, given)], env=surroundings(), check=False).returncode)
    comm = default_comm(1)
    chosen.out.mkdir(parents=True, exist_ok=True)
    begin = time.perf_counter()
    one = template(scenario.build(scenario.load(REGION)))
    done = {line.copy for line in read(chosen.out)}
    left = [number for number in range(chosen.copies) if number not in done]
    adoption = Adoption(*chosen.adoption)
    share(one, left[comm.rank :: comm.size], chosen.out, chosen.seed, adoption, comm)
    memory = comm.largest(np.array([resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6]))
    if comm.rank == 0:
        show(read(chosen.out), time.perf_counter() - begin, comm.size, float(memory[0]), Console())


if __name__ == "__main__":
    main()
