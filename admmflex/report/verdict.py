"""The day in a few sentences, and in a row of numbers."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from admmflex.summary import MET_LOADING, MET_PU

Facts = Mapping[str, Any]
NAMED = 5  # of the homes that did not answer
AGREED = {
    "admm": "Coordination by prices",
    "charts": "Coordination by cost charts",
    "central": "One optimisation of the whole problem",
    "none": "Left to themselves, the homes",
}


def verdict(summary: Facts, steps: int) -> list[str]:
    """What was congested without coordination, what coordination did, what it cost and what the AC check says."""
    method, status = summary.get("method", ""), summary.get("status", "optimal")
    if method == "none":
        return [_alone(summary, steps)]
    told = [_alone(summary["baseline"], steps)] if "baseline" in summary else []
    actor = AGREED.get(method, "Coordination")
    if status == "infeasible":
        reason = summary.get("message")
        return [*told, f"{actor} found that no plan can meet the limits{f': {reason}' if reason else ''}."]
    if status == "not_converged":
        told.append(f"{actor} did not converge: what follows is the best it had, not a plan to rely on.")
        return [*told, _checked(summary, "An AC power flow of it gives")]
    said = f"{summary['message']}." if summary.get("message") else ""
    confirmed = _checked(summary, "An AC power flow of the plan confirms it:")
    return [*told, _done(actor, summary), confirmed, *_silent(summary), said]


def _silent(summary: Facts) -> list[str]:
    """Who did not answer, and what the plan takes them to do."""
    silent = summary.get("silent", [])
    if not silent:
        return []
    named = "; ".join(f"{one['prosumer']} ({one['why']})" for one in silent[:NAMED])
    more = f"; and {len(silent) - NAMED} more" if len(silent) > NAMED else ""
    return [f"{len(silent)} of the homes did not answer and are taken to do what they told last: {named}{more}."]


def _alone(plan: Facts, steps: int) -> str:
    """What an uncoordinated day does to the grid."""
    if plan.get("steps_without_power_flow"):
        return "Left to themselves, the homes would bring the grid down: the power flow has no solution in some steps."
    broken = plan.get("steps_beyond_limits")
    if broken is None:
        return "What the homes would do by themselves is not known."
    if not broken:
        return "Left to themselves, the homes would break no limit."
    return f"Left to themselves, the homes would break limits in {broken} of {steps} steps{_excesses(plan)}."


def _excesses(plan: Facts) -> str:
    """What is beyond its limit, after a colon: value, limit, place and hour."""
    found = []
    for key, side in (("highest_voltage", -1.0), ("lowest_voltage", 1.0)):
        one = plan.get(key)
        if one and one["excess"] > MET_PU:
            limit = one["value"] + side * one["excess"]
            found.append(
                f"{one['value']:.4f} pu at bus {one['bus']} at {hour(one)} (limit {f'{limit:.4f}'.rstrip('0')} pu)"
            )
    one = plan.get("worst_loading")
    if one and one["excess"] > MET_LOADING:
        found.append(f"{100 * one['value']:.0f} % in {place(one)} at {hour(one)}")
    return f": {' and '.join(found)}" if found else ""


def _done(actor: str, summary: Facts) -> str:
    """What coordination brought and cost."""
    met = "meets every limit" if summary.get("steps_beyond_limits") == 0 else "brings the homes to a plan"
    text = f"{actor} {met}"
    before, after = summary.get("baseline_eur"), summary.get("objective_eur")
    if before is not None and after is not None:
        more = after - before
        share = f" ({100 * abs(more) / abs(before):.1f} %)" if abs(before) > 1.0 else ""
        text += f" for {abs(more):.2f} EUR {'more' if more >= 0.0 else 'less'} than the homes would pay alone{share}"
    kwh = summary.get("curtailed_kwh")
    if kwh is not None:
        text += f"; {kwh:.1f} kWh of sun are curtailed" if kwh >= 0.05 else "; no sun is curtailed"
    return text + "."


def _checked(summary: Facts, opening: str) -> str:
    """What the AC power flow of the plan says; ``opening`` of the sentence when it meets the limits."""
    if summary.get("steps_without_power_flow"):
        return "The AC power flow of the plan has no solution in some steps."
    broken = summary.get("steps_beyond_limits")
    if broken:
        many = f"{broken} step{'s' * (broken > 1)}"
        return f"The AC power flow of the plan breaks limits in {many}{_excesses(summary)}."
    high, low, load = (summary.get(key) for key in ("highest_voltage", "lowest_voltage", "worst_loading"))
    parts = [f"{low['value']:.4f} to {high['value']:.4f} pu"] if high and low else []
    parts += [f"at most {100 * load['value']:.1f} % loading"] if load else []
    return f"{opening} {', '.join(parts)}." if parts else ""


def numbers(summary: Facts) -> list[tuple[str, str, str]]:
    """Name, value and remark of what a reader looks for first; what is unknown is left out."""
    before = summary.get("baseline", {}) if summary.get("method") != "none" else {}
    found = []
    if "objective_eur" in summary and summary.get("status") != "infeasible":
        alone = f"uncoordinated {summary['baseline_eur']:.2f}" if before and "baseline_eur" in summary else ""
        found.append(("cost of the day", f"{summary['objective_eur']:.2f} EUR", alone))
    for title, key, form, factor in (
        ("highest voltage", "highest_voltage", "{:.4f} pu", 1.0),
        ("lowest voltage", "lowest_voltage", "{:.4f} pu", 1.0),
        ("worst loading", "worst_loading", "{:.1f} %", 100.0),
    ):
        if summary.get(key):
            alone = f"uncoordinated {form.format(factor * before[key]['value'])}" if before.get(key) else ""
            found.append((title, form.format(factor * summary[key]["value"]), alone))
    if "answers_per_prosumer" in summary:
        found.append(("answers of each home", str(summary["answers_per_prosumer"]), ""))
    if summary.get("gap") is not None and summary["gap"] >= 0.0:
        found.append(("above the optimum", f"at most {100 * summary['gap']:.2f} %", "by weak duality"))
    return found


def hour(worst: Facts) -> str:
    return datetime.fromisoformat(worst["time"]).strftime("%H:%M")


def place(worst: Facts) -> str:
    """Kind and number of a branch; its name is in the data."""
    return str(worst["branch"]).split(" '")[0]
