"""``method: export-limits``: limits of every scenario, one limit for all of them, and the result that holds both."""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from admmflex import results
from admmflex.comm import Comm, default_comm, own_steps
from admmflex.data.export_spec import ExportSpec
from admmflex.export_limits.checked import check
from admmflex.export_limits.fairness import shares
from admmflex.export_limits.robust import RobustLimits, robust_limits
from admmflex.export_limits.search import PAIRS, UniformLimits, pv_power, uniform_limits
from admmflex.export_limits.study import ExportStudy, build
from admmflex.horizon import Array
from admmflex.labelling import FORMAT
from admmflex.progress import Observer, Silent, now_and_then
from admmflex.results import Result
from admmflex.scenario import Scenario
from admmflex.variables import EXPORT
from admmflex.versions import versions

QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
"""Of the scenarios, for the voltages that a result keeps."""


def run_export_limits(scenario: Scenario, *, out: Path | str | None = None, observer: Observer | None = None) -> Result:
    """Find the limits of a day; arguments, result and errors as those of ``admmflex.run``.

    Scenarios are shared among the ranks. The status is always "optimal": limits are 0 where the feeder is beyond its
    own without any export, which ``passive`` and the message tell.
    """
    started = time.perf_counter()
    spec = scenario.spec
    assert isinstance(spec, ExportSpec)
    study = build(spec, scenario.folder)
    if out is not None:
        results.require_folder(out)
    count, _, steps = study.scenarios.shape
    comm = default_comm(steps)
    own = own_steps(count, comm.rank, comm.size)
    watching = observer if observer is not None and comm.rank == 0 else Silent()
    watching.start(_about(scenario, study, comm, (own.stop - own.start) * steps))
    for note in study.notes:
        watching.message(note)
    read_s = time.perf_counter() - started
    with results.History(out if comm.rank == 0 else None) as history:

        def observe(done: int, total: int) -> None:
            number = len(history.records) + 1
            record = {"iteration": number, "pairs": done, "of_pairs": total, "elapsed_s": time.perf_counter() - started}
            history.append(record)
            watching.iteration(record)

        found, notes = _search(study, spec, comm, observe)
    for note in notes:
        watching.message(note)
    asked = spec.coordination
    robust = [robust_limits(found["xi"], r / 100.0, confidence=asked.confidence) for r in asked.robustness_percent]
    watching.message("checking the limits by AC power flow")
    checked = _checked(study, robust, comm, now_and_then(watching.message))
    result = _result(scenario, study, found | checked, robust, comm)
    solved_s = time.perf_counter() - started - read_s
    result.summary["timing"] = {"read_s": read_s, "solve_s": solved_s, "total_s": time.perf_counter() - started}
    if out is not None and comm.rank == 0:
        result = results.write(result, out)
    watching.finish(result)
    return result


def _search(study: ExportStudy, spec: ExportSpec, comm: Comm, observe: Any) -> tuple[dict[str, Array], list[str]]:
    """Limits and what binds, (N, K) each, of all ranks; notes of this one."""
    count, _, steps = study.scenarios.shape
    own = own_steps(count, comm.rank, comm.size)
    rows = np.empty((5, 0, steps))
    notes: list[str] = []
    if own.stop > own.start:
        part = study.scenarios.part(own.start, own.stop)
        found: UniformLimits = uniform_limits(
            study.customers, part, study.limits, inverter=study.inverter, scan=spec.coordination.scan, observe=observe
        )
        rows = np.stack([found.xi, found.passive, found.kind, found.element, found.conductor]).astype(np.float64)
        notes = found.passive_notes(5)
    names = ("xi", "passive", "kind", "element", "conductor")
    return {name: comm.stack(np.ascontiguousarray(x)) for name, x in zip(names, rows, strict=True)}, notes


def _checked(
    study: ExportStudy, robust: list[RobustLimits], comm: Comm, tell: Callable[[float], None]
) -> dict[str, Array]:
    """What the feeder does with every limit, and with none but the ratings (``_free``), over all scenarios.

    ``tell`` is told the share that is done.
    """
    own = own_steps(study.scenarios.shape[0], comm.rank, comm.size)
    part = study.scenarios.part(own.start, own.stop) if own.stop > own.start else None
    n, steps = study.scenarios.shape[1:]
    free, rows = None, []
    for number, xi in enumerate((None, *(one.xi for one in robust))):
        if part is None:
            rows.append((np.empty((0, 3, steps)), np.empty((0, n, steps)), np.empty((0, steps))))
            continue

        def observe(done: int, total: int, before: int = number) -> None:
            tell((before + done / max(total, 1)) / (len(robust) + 1))

        one = check(study.customers, part, study.limits, xi, inverter=study.inverter, known=free, observe=observe)
        free = free or one
        rows.append((one.phase, one.customer, one.broken.astype(np.float64)))
    every = [[comm.stack(x.reshape(len(x), -1)).reshape(-1, *x.shape[1:]) for x in row] for row in rows]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a phase without customers, a step without any power flow
        phase = np.stack([np.nanquantile(row[0], QUANTILES, axis=0) for row in every])
        customer = np.stack([np.nanmax(row[1], axis=(0, 2)) for row in every])
    broken = np.stack([row[2].mean(axis=0) for row in every])
    named = {"phase_v_pu": phase, "customer_v_pu": customer, "broken": broken}
    return {name: x[1:] for name, x in named.items()} | {f"{name}_free": x[0] for name, x in named.items()}


def _about(scenario: Scenario, study: ExportStudy, comm: Comm, pairs: int) -> dict[str, Any]:
    count, n, steps = study.scenarios.shape
    return {
        "name": scenario.name,
        "customers": n,
        "buses": study.customers.network.n,
        "scenarios": count,
        "steps": steps,
        "method": "export-limits",
        "ranks": comm.size,
        "rounds": -(-pairs // PAIRS),
    }


def _result(
    scenario: Scenario, study: ExportStudy, found: dict[str, Array], robust: list[RobustLimits], comm: Comm
) -> Result:
    import xarray as xr

    spec = scenario.spec
    assert isinstance(spec, ExportSpec)
    asked = spec.coordination
    customers, scenarios, net = study.customers, study.scenarios, study.customers.network
    pairs = zip(*(found[name].astype(np.int64).ravel() for name in ("kind", "element", "conductor")), strict=True)
    labels = ["" if kind < 0 else study.limits.label(kind, element, wire) for kind, element, wire in pairs]
    values = {
        "xi": found["xi"],
        "xi_robust": np.stack([one.xi for one in robust]),
        "passive": found["passive"].astype(np.int8),
        "binding": np.array(labels, dtype=object).reshape(found["xi"].shape),
        "rating_kw": customers.rating_kw,
        "customer_bus": np.array([net.bus_names[i] or str(net.buses[i]) for i in customers.bus], dtype=object),
        "phase_share": customers.share,
        "curtailed_share": np.stack([_curtailed(study, one.xi) for one in robust]),
    }
    values |= {name: found[name] for name in EXPORT if name not in values}
    data = {
        name: (one.dims, values[name], {"units": one.units, "long_name": one.long_name}) for name, one in EXPORT.items()
    }
    hours = np.arange(scenarios.shape[2]) * scenarios.dt_h
    start = np.datetime64(scenarios.start[:16], "s")
    coordinates = {
        "time": ("time", start + np.round(hours * 3600).astype("timedelta64[s]"), {"long_name": "local time"}),
        "robustness": ("robustness", np.array(asked.robustness_percent), {"units": "percent"}),
        "quantile": ("quantile", 100.0 * np.array(QUANTILES), {"units": "percent"}),
        "customer": ("customer", np.array(customers.name, dtype=object)),
        "phase": ("phase", np.array(["a", "b", "c"], dtype=object)),
    }
    broken = int(found["passive"].sum())
    about = {
        "format": FORMAT, "status": "optimal", "name": scenario.name, "method": "export-limits", "seed": spec.seed,
        "scenario": scenario.text, "versions": json.dumps(versions()), "dt_h": scenarios.dt_h,
        "v_min_pu": study.limits.v_min, "v_max_pu": study.limits.v_max,
    }  # fmt: skip
    if broken:
        about["message"] = f"limits broken without any export in {broken} scenarios and steps"
    return results.result(
        xr.Dataset(data, coordinates, about), ranks=comm.size, export_limits=_summary(study, found, robust)
    )


def _curtailed(study: ExportStudy, xi: Array) -> Array:
    """(n,) part of the PV energy of each customer that a limit takes, over all scenarios; 0 without PV."""
    made = pv_power(study.scenarios, xi * study.customers.rating_kw[:, None]).sum(axis=(0, 2))
    could = study.scenarios.avail.sum(axis=(0, 2))
    return np.asarray(np.where(could > 0.0, 1.0 - made / np.where(could > 0.0, could, 1.0), 0.0))


def _summary(study: ExportStudy, found: dict[str, Array], robust: list[RobustLimits]) -> dict[str, Any]:
    """What each robustness gives and claims."""
    xi, rating = found["xi"], study.customers.rating_kw[:, None]
    rows = []
    for row, one in enumerate(robust):
        given = shares(study.customers, study.scenarios, one.xi * rating)
        lowest = int(one.xi.argmin())
        rows.append(
            {
                "robustness_percent": 100.0 * one.robustness,
                "lowest_limit": float(one.xi[lowest]),
                "lowest_step": lowest,
                "pv_kwh": given.pv_kwh,
                "curtailed_kwh": given.curtailed_kwh,
                "exported_kwh": given.exported_kwh,
                "worst_off": given.worst_off,
                "broken": float(found["broken"][row].mean()),
                "confidence": one.confidence,
                "broken_per_step_at_most": one.step_bound,
                "broken_per_day_at_most": one.day_bound,
            }
        )
    return {
        "scenarios": len(xi),
        "customers": study.customers.n,
        "steps": xi.shape[1],
        "binding_pairs": int((found["kind"] >= 0).sum()),
        "passive_pairs": int(found["passive"].sum()),
        "broken_free": float(found["broken_free"].mean()),
        "limits": rows,
    }
