"""From a scenario to a result that is checked by an AC power flow."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

import grid
from admmflex import results
from admmflex.comm import Comm, default_comm, survived
from admmflex.coordination.compromised import largest_budget, margin_left, secured
from admmflex.coordination.fingerprint import fingerprint
from admmflex.coordination.keeper import Keeper, Keeping, Never
from admmflex.coordination.schemes import Agreed, Observe, Outcome, by_one_problem, by_prices, on_their_own
from admmflex.data.exchange_limits import UNMET
from admmflex.data.export_spec import ExportSpec
from admmflex.horizon import Array
from admmflex.progress import Observer, Silent
from admmflex.prosumers.prosumer import Prosumer, shortfalls
from admmflex.results import Result
from admmflex.scenario import Scenario, Study, build
from admmflex.studies.variants import expected
from admmflex.versions import versions

Scheme = Callable[[Study, Comm, Observe], Outcome]


def _by_charts(study: Study, comm: Comm, observe: Observe) -> Outcome:
    from admmflex.studies.charts_day import by_charts  # with mpo, which no other scheme needs

    return by_charts(study, comm, observe)


SCHEMES: MappingProxyType[str, Scheme] = MappingProxyType(
    {"admm": by_prices, "charts": _by_charts, "central": by_one_problem, "none": on_their_own}
)


def run(
    scenario: Scenario | Study,
    *,
    out: Path | str | None = None,
    observer: Observer | None = None,
    keeping: Keeping | None = None,
) -> Result:
    """Coordinate a day.

    Args:
        scenario: from ``admmflex.load``; or a study, for prosumers that no file can hold.
        out: folder for ``result.nc``, ``summary.json`` and ``history.jsonl``; nothing is written without it.
        observer: told what happens, on rank 0.
        keeping: how checkpoints are kept in the folder and taken up; none are kept without a folder.

    Returns:
        The result, on every rank. Its status is "optimal", "infeasible" or "not_converged": look at it, or call
        ``require()``.

    Raises:
        InputError: every fault of the scenario and its data, a folder that cannot be written, or a checkpoint to
            resume of another day, before anything is solved.
        Interrupted: ``keeping.stop`` asked for it.
    """
    if isinstance(scenario, Scenario) and isinstance(scenario.spec, ExportSpec):
        from admmflex.export_day import run_export_limits  # which no other method needs

        return run_export_limits(scenario, out=out, observer=observer)
    keeping, news = keeping or Keeping(), list[str]()
    while True:
        try:
            return _coordinated(scenario, out, observer, keeping, news)
        except Exception as error:
            if not (keeping.survive and survived(error)):
                raise
            keeping, news = replace(keeping, resume=True), ["a rank was lost; the others go on"]


def _coordinated(
    scenario: Scenario | Study, out: Path | str | None, observer: Observer | None, keeping: Keeping, news: list[str]
) -> Result:
    """One attempt, by the ranks that live; ``news`` are told first."""
    started = time.perf_counter()
    study = secured(build(scenario) if isinstance(scenario, Scenario) else scenario)
    if out is not None:
        results.require_folder(out)  # on every rank, so that none waits for the others
    comm = default_comm(study.horizon.steps)
    watching = observer if observer is not None and comm.rank == 0 else Silent()
    watching.start(_about(study, scenario, comm))
    for note in (*news, *study.notes):
        watching.message(note)
    read_s = time.perf_counter() - started
    keeper = None if out is None else _keeper(study, Path(out), comm, keeping, watching)
    schemes = SCHEMES if keeper is None else SCHEMES | {"admm": partial(by_prices, keeper=keeper)}
    known = [] if keeper is None else keeper.find()
    with results.History(out if comm.rank == 0 else None) as history:
        for record in known:
            history.append(record)

        def observe(record: dict[str, Any]) -> None:
            history.append(record)
            watching.iteration(record)

        found = schemes[study.settings.method](expected(study), comm, observe)
        if keeper is not None:
            keeper.stop.listening = False
        outcome = _explained(study, found, comm)
    if keeping.survive:
        comm.agree()  # none may leave while another still needs it
    solved_s = time.perf_counter() - started - read_s
    result = _result(outcome.happened or study, scenario, outcome, comm)
    result.summary["timing"] = {"read_s": read_s, "solve_s": solved_s, "total_s": time.perf_counter() - started}
    if out is not None and comm.rank == 0:
        result = results.write(result, out)
    if keeper is not None:
        keeper.done()
    watching.finish(result)
    return result


def _keeper(study: Study, out: Path, comm: Comm, keeping: Keeping, watching: Observer) -> Keeper:
    """Of the checkpoints of this run."""

    def about() -> dict[str, str]:
        return fingerprint(study) | {"version": versions().get("admmflex", "")}

    folder = out / "checkpoint"
    return Keeper(folder, comm, about, keeping.resume, keeping.every_s, keeping.stop or Never(), watching.message)


def _explained(study: Study, outcome: Outcome, comm: Comm) -> Outcome:
    """With the number of suspects that a day which cannot be met could bear, in its message."""
    if study.threat is None or outcome.status != "infeasible":
        return outcome

    def agrees(day: Study) -> bool:
        return SCHEMES[day.settings.method](day, comm, lambda record: None).status == "optimal"

    most = largest_budget(study, agrees)
    could = "nor with none of them" if most is None else f"at most {most} may"
    given = f"no plan holds with {study.threat.budget} of {len(study.threat.bus)} suspects misbehaving"
    return replace(outcome, message=f"{outcome.message}; {given}, {could}")


def _about(study: Study, scenario: Scenario | Study, comm: Comm) -> dict[str, Any]:
    """What an observer is told first."""
    settings = study.settings
    return {
        "name": scenario.name if isinstance(scenario, Scenario) else study.network.name,
        "prosumers": len(study.prosumers),
        "buses": study.network.n,
        "steps": study.horizon.steps,
        "method": settings.method,
        "ranks": comm.size,
        "max_iterations": settings.max_iterations,
        **({"rounds": study.horizon.steps} if settings.method == "charts" else {}),
        "targets": {
            "voltage_excess_pu": settings.voltage_tolerance_pu,
            "loading_excess": settings.loading_tolerance_percent / 100.0,
            "cost_change": settings.cost_tolerance,
        },
    }


def _result(study: Study, scenario: Scenario | Study, outcome: Outcome, comm: Comm) -> Result:
    """Label everything, with the voltages and loadings of the AC power flow of the plan."""
    network = study.network
    variables = {
        "v_min": network.v_min,
        "v_max": network.v_max,
        "bus_name": np.array(network.bus_names, dtype=object),
        "prosumer_bus": network.buses[network.positions([one.bus for one in study.prosumers])],  # one of those joined
        "bus_x": network.geo[:, 0],
        "bus_y": network.geo[:, 1],
        "branch_from_bus": network.from_bus,
        "branch_to_bus": network.to_bus,
        "branch_length_km": network.length_km,
        "branch_kind": np.where(network.is_transformer, "transformer", "line").astype(object),
        "price_p": outcome.price[0],
        "price_q": outcome.price[1],
    }
    variables |= _powers(outcome.plan, "") | outcome.variables
    variables |= _grid_state(study, outcome.plan, "")
    attributes: dict[str, Any] = {}
    if study.limits.connection is not None:
        slack = study.limits.connection
        variables |= {"grid_p_min_kw": slack.p_min, "grid_p_max_kw": slack.p_max}
        variables |= {"grid_q_min_kvar": slack.q_min, "grid_q_max_kvar": slack.q_max}
    if study.out is not None:
        variables["out"] = study.out.astype(np.float64)
    if study.island is not None:
        attributes["grid_forming"] = study.island.grid_forming
        if study.lasting is not None:
            variables["lasting"] = study.lasting
    elif outcome.baseline is not None:  # an island has nothing that it could do without coordination
        state = _grid_state(study, outcome.baseline, "_baseline")
        variables |= _powers(outcome.baseline, "_baseline")
        variables |= {name: value for name, value in state.items() if name.endswith("_baseline")}
        attributes["baseline_eur"] = outcome.baseline.cost
    bound = outcome.lower_bound
    if bound is not None and outcome.status == "optimal":
        attributes |= {"lower_bound_eur": bound, "gap": (outcome.plan.cost - bound) / max(abs(outcome.plan.cost), 1e-9)}
    data = results.dataset(
        study.horizon,
        [_with_assets(one) for one in study.prosumers],
        network.buses,
        [network.branch_label(branch) for branch in range(network.m)],
        variables,
        status=outcome.status,
        objective_eur=outcome.plan.cost,
        history=outcome.history,
        scenario=scenario.text if isinstance(scenario, Scenario) else "",
        scenario_folder=str(scenario.folder) if isinstance(scenario, Scenario) else None,
        name=scenario.name if isinstance(scenario, Scenario) else network.name,
        method=study.settings.method,
        seed=study.seed,
        message=outcome.message,
        answers_per_prosumer=outcome.answers or None,
        **attributes,
    )
    suspected = margin_left(study, outcome.plan.y)
    return results.result(data, ranks=comm.size, **outcome.responses, **_unserved(study), **suspected)


def _powers(agreed: Agreed, suffix: str) -> dict[str, Array]:
    """What prosumers and assets do."""
    (p, q), (asset_p, asset_q, energy) = agreed.y, agreed.assets
    powers = {"p_kw": p, "q_kvar": q, "asset_p_kw": asset_p, "asset_q_kvar": asset_q, "energy_kwh": energy}
    return {f"{name}{suffix}": values for name, values in powers.items()}


def _unserved(study: Study) -> dict[str, Any]:
    """What devices lack whatever the plan, for the summary; nothing where everything is served."""
    horizon = study.horizon
    listed = [
        {
            "prosumer": prosumer.name,
            "element": one.element,
            "what": one.what,
            "from": horizon.label(one.first),
            "to": horizon.clock(float(horizon.dt_h[: one.last + 1].sum())),
            "kwh": one.kwh,
            "eur": one.eur,
        }
        for prosumer, one in shortfalls(study.prosumers, horizon)
    ]
    return {"shortfalls": listed, "shortfall_eur": sum(one["eur"] for one in listed)} if listed else {}


def _grid_state(study: Study, agreed: Agreed, suffix: str) -> dict[str, Array]:
    """Voltages, loadings and the exchange with the upstream grid, by AC power flow; NaN where it has no solution."""
    network = study.network
    at = network.positions([one.bus for one in study.prosumers])
    injection = np.zeros((2, network.n, study.horizon.steps))
    for c in range(2):
        np.add.at(injection[c], at, agreed.y[c])
    flow = grid.power_flow(network, injection[0], injection[1])
    loading = np.zeros((network.m, study.horizon.steps))
    np.maximum.at(loading, study.limits.branch, np.abs(study.limits.loading(flow.v)))
    state = {f"v_pu{suffix}": np.abs(flow.v), f"loading{suffix}": loading}
    if not suffix:
        drawn = grid.drawn_kw(network, flow.v, _at_slack(study, at, agreed))
        state |= {"grid_p_kw": drawn.real, "grid_q_kvar": drawn.imag}
    return state


def _at_slack(study: Study, at: Any, agreed: Agreed) -> Any:
    """(K,) what prosumers at the slack bus inject; what fills the gap of a request is not theirs."""
    own = [i for i in np.flatnonzero(at == 0) if study.prosumers[i].name != UNMET]
    return (agreed.y[0, own] + 1j * agreed.y[1, own]).sum(axis=0)


@dataclass(frozen=True)
class _Labelled:
    """A prosumer written in cvxpy, for the labels of a result: it has no assets."""

    name: str
    bus: int
    import_price: Array
    export_price: Array
    assets: tuple[()] = ()
    import_limit_kw: float = math.inf
    export_limit_kw: float = math.inf


def _with_assets(one: Any) -> Any:
    return one if isinstance(one, Prosumer) else _Labelled(one.name, one.bus, one.import_price, one.export_price)
