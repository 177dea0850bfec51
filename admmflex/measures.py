"""How the rows of a comparison are called and written, in a terminal and on a page."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from admmflex.time_left import elapsed

if TYPE_CHECKING:
    from admmflex.comparison import Row

UNKNOWN = "-"


def _form(text: str, factor: float = 1.0) -> Callable[[Any], str]:
    return lambda value: UNKNOWN if value is None else _unsigned_zero(text.format(factor * value))


def _unsigned_zero(text: str) -> str:
    """Without the sign of what was rounded to zero."""
    return text.lstrip("+-") if not float(text) else text


def _count(value: int | None) -> str:
    return UNKNOWN if value is None else f"{value:,}".replace(",", " ")


MEASURES: tuple[tuple[str, str, Callable[[Any], str]], ...] = (
    ("status", "status", lambda value: value.replace("_", " ")),
    ("cost, EUR", "cost_eur", _form("{:.3f}")),
    ("sun curtailed, kWh", "curtailed_kwh", _form("{:.1f}")),
    ("steps beyond limits", "broken_steps", _count),
    ("voltage excess, pu", "voltage_excess_pu", _form("{:.4f}")),
    ("loading excess, %", "loading_excess", _form("{:.1f}", 100.0)),
    ("curtailment, Gini", "curtailment_gini", _form("{:.2f}")),
    ("  worst-off, %", "curtailment_worst", _form("{:.1f}", 100.0)),
    ("bill, worst-off, EUR", "change_worst_eur", _form("{:+.2f}")),
    ("numbers per home", "numbers_per_home", _count),
    ("time", "seconds", lambda value: UNKNOWN if value is None else elapsed(value)),
)
"""Name, field of ``Row`` and form of every measure."""


def lines(rows: tuple[Row, ...]) -> list[tuple[str, list[str], list[bool]]]:
    """Name, texts and marks (bad) of every measure that somebody knows."""
    found = []
    for name, field, form in MEASURES:
        values = [getattr(row, field) for row in rows]
        if any(value is not None for value in values):
            found.append((name, [form(value) for value in values], [_bad(field, value) for value in values]))
    return found


def _bad(field: str, value: Any) -> bool:
    """Whether a value says that limits are broken or that there is no plan."""
    return (field == "status" and value != "optimal") or (field == "broken_steps" and bool(value))
