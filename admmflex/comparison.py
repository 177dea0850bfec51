"""Results of one scenario under several schemes, side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from admmflex.errors import Fault, InputError, require
from admmflex.money import bills, curtailed_shares, gini
from admmflex.results import Result
from admmflex.variables import PROFILES, VARIABLES

if TYPE_CHECKING:
    import xarray as xr

SCHEMES = {
    "none": "uncoordinated",
    "central": "central",
    "admm": "prices",
    "charts": "charts",
}
FIXED = "fixed limits"
MANY = {"bus": "buses", "branch": "branches", "time": "times", "prosumer": "homes"}
LIMITS = ("import_limit_kw", "export_limit_kw", "loading_max")
"""Inputs that a result has only where they are limits."""


@dataclass(frozen=True)
class Row:
    """One result in numbers; None is unknown.

    Args:
        scheme: what coordinated, with the folder where several results have the same scheme.
        cost_eur: of the day, without payments of grid prices.
        curtailed_kwh: sun on offer and not given.
        broken_steps: in which the AC power flow is beyond a limit.
        voltage_excess_pu, loading_excess: the worst of them; 0 when met.
        curtailment_gini, curtailment_worst: over the shares of their sun that homes do not give.
        change_worst_eur, change_worst_name: the home whose bill, payments to the grid included, rises most.
        numbers_per_home: exchanged in both directions.
        seconds: of the run.
    """

    scheme: str
    folder: str
    status: str
    cost_eur: float | None
    curtailed_kwh: float | None
    broken_steps: int | None
    voltage_excess_pu: float | None
    loading_excess: float | None
    curtailment_gini: float | None
    curtailment_worst: float | None
    change_worst_eur: float | None
    change_worst_name: str | None
    numbers_per_home: int | None
    seconds: float | None


@dataclass(frozen=True)
class Comparison:
    """Rows in the order of the results, and what a reader must know about them."""

    name: str
    rows: tuple[Row, ...]
    notes: tuple[str, ...]


def compare(results: Sequence[Result]) -> Comparison:
    """Put results side by side.

    Raises:
        InputError: fewer than two, or results of different days, grids, tariffs or homes; says what differs.
    """
    _require_alike(results)
    first = results[0].dataset
    notes = tuple(text for other in results for text in (_lived(first, other), _limited(other, results)) if text)
    schemes = [_scheme(one, results) for one in results]
    rows = tuple(
        row(one, f"{scheme} ({Path(str(one.directory)).name})" if schemes.count(scheme) > 1 else scheme)
        for one, scheme in zip(results, schemes, strict=True)
    )
    return Comparison(str(first.attrs.get("name") or "Comparison"), rows, notes)


def _scheme(one: Result, results: Sequence[Result]) -> str:
    if _limited(one, results):
        return FIXED
    method = str(one.dataset.attrs.get("method"))
    return SCHEMES.get(method, method)


def _limited(one: Result, results: Sequence[Result]) -> str:
    """What to say of homes by themselves under export limits that others do not have; empty for anything else."""
    if not _may_limit(one.dataset) or all(_same_limit(one.dataset, other.dataset) for other in results):
        return ""
    kw = one.dataset["export_limit_kw"].to_numpy()
    some = kw[np.isfinite(kw)]
    most = f"{some.min():g}" if np.ptp(some) < 1e-9 else f"{some.min():g} to {some.max():g}"
    return f"{FIXED}: {len(some)} of {len(kw)} homes may feed in at most {most} kW; nobody coordinates"


def _may_limit(data: xr.Dataset) -> bool:
    return data.attrs.get("method") == "none" and "export_limit_kw" in data


def _same_limit(one: xr.Dataset, other: xr.Dataset) -> bool:
    return "export_limit_kw" in other and _equal(one["export_limit_kw"], other["export_limit_kw"])


def _require_alike(results: Sequence[Result]) -> None:
    """Raise what keeps results from being compared."""
    if len(results) < 2:
        value = f"{len(results)} result{'s' * (len(results) != 1)}"
        raise InputError(Fault("compare", value, "two or more", "name the folders of several results"))
    require(
        [
            Fault(
                f"result folder '{one.directory}'",
                "export limits of drawn days by phase: it holds no homes, prices or costs of this day",
                f"results of {', '.join(SCHEMES)}",
                "give homes that limit as export_limit_kw and run with --method none",
            )
            for one in results
            if "prosumer" not in one.dataset.sizes
        ]
    )
    first, *others = results
    allowed, remedy = "results of one scenario under several methods", "run the same scenario with other --method"
    require(
        [
            Fault(
                f"result folder '{other.directory}'",
                f"another scenario than '{first.directory}': {', '.join(different)}",
                allowed,
                remedy,
            )
            for other in others
            if (different := differences(first.dataset, other.dataset))
        ]
    )


def differences(one: xr.Dataset, other: xr.Dataset) -> list[str]:
    """What makes two results those of different scenarios; empty when nothing does.

    Export limits of homes by themselves are a scheme, not a scenario.
    """
    found = [
        name
        for name in ("time", "prosumer", "bus", "branch", "asset")
        if one.sizes.get(name) != other.sizes.get(name) or not np.array_equal(one[name].values, other[name].values)
    ]
    if found:
        return [f"other {MANY.get(name, name + 's')}" for name in found]
    charts = "charts" in (one.attrs.get("method"), other.attrs.get("method"))
    names = [name for name in map(str, {**one.data_vars, **other.data_vars}) if _is_input(name, charts)]
    if _may_limit(one) or _may_limit(other):
        names = [name for name in names if name != "export_limit_kw"]
    return [name for name in names if not (name in one and name in other and _equal(one[name], other[name]))]


def _is_input(name: str, charts: bool) -> bool:
    """Whether a variable was given, parameters of assets included, rather than found.

    With charts, profiles are not: their day is drawn around the forecast.
    """
    if name in PROFILES:
        return not charts
    if name in VARIABLES:
        return VARIABLES[name].role == "input" or name in LIMITS
    return not name.startswith("history_")


def row(result: Result, scheme: str) -> Row:
    """The numbers of one result."""
    data, summary = result.dataset, result.summary
    solved = result.status != "infeasible"
    shares = curtailed_shares(data) if solved else None
    paid = bills(data) if solved and data.attrs.get("method") != "none" else None
    change = None if paid is None else paid.change
    worst = None if change is None else int(np.argmax(change))
    return Row(
        scheme=scheme,
        folder=str(result.directory),
        status=result.status,
        cost_eur=result.objective_eur if solved else None,
        curtailed_kwh=summary.get("curtailed_kwh") if solved else None,
        broken_steps=summary.get("steps_beyond_limits"),
        voltage_excess_pu=_excess(summary.get("worst_voltage")),
        loading_excess=_excess(summary.get("worst_loading")),
        curtailment_gini=None if shares is None else gini(shares),
        curtailment_worst=None if shares is None or not np.isfinite(shares).any() else float(np.nanmax(shares)),
        change_worst_eur=None if change is None or worst is None else float(change[worst]),
        change_worst_name=None if worst is None else str(data["prosumer"].to_numpy()[worst]),
        numbers_per_home=exchanged(data, summary),
        seconds=summary.get("timing", {}).get("total_s"),
    )


def exchanged(data: xr.Dataset, summary: Mapping[str, Any]) -> int | None:
    """Numbers that go to and from one home, on average; None where the method does not tell.

    Prices: for each answer and step, price and share of the bus power come, the plan goes, all for p and q: 6.
    """
    method, answers = data.attrs.get("method"), summary.get("answers_per_prosumer")
    if method == "none":
        return 0
    if method == "admm" and answers is not None:
        return int(6 * answers * data.sizes["time"])
    return None


def _excess(worst: Mapping[str, Any] | None) -> float | None:
    return None if worst is None else max(float(worst["excess"]), 0.0)


def _equal(one: xr.DataArray, other: xr.DataArray) -> bool:
    a, b = one.to_numpy(), other.to_numpy()
    if a.shape != b.shape:
        return False
    return (
        bool(np.allclose(a, b, rtol=1e-9, atol=1e-9, equal_nan=True)) if a.dtype.kind == "f" else np.array_equal(a, b)
    )


def _lived(first: xr.Dataset, other: Result) -> str:
    """What to say when a scheme lived through other loads and sun than the first."""
    data = other.dataset
    parts = []
    for name, what in (("load_p_kw", "loads"), ("avail_kw", "sun")):
        total = float(np.abs(first[name]).sum())
        moved = float(np.abs(first[name] - data[name]).sum())
        if moved > 1e-9 * max(total, 1.0):
            parts.append(f"{what} by {100.0 * moved / max(total, 1e-9):.1f} %")
    scheme = SCHEMES.get(str(data.attrs.get("method")), "this result")
    return f"{scheme}: the day happened otherwise than in the first result, {' and '.join(parts)}" if parts else ""
