"""The gap over the answers for each rho0, as a page of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from admmflex.coordination.schemes import admm_settings
from admmflex.coordination.settings import AdmmSettings
from admmflex.data.study import Study
from experiments import compare
from experiments.convergence.trials import RHOS

if TYPE_CHECKING:
    import plotly.graph_objects as go

ROUNDS = 60  # no run stops before
RANGE = (-5.3, -0.5)  # powers of ten
FLOOR = 10.0 ** RANGE[0]
TARGET_LINE = 1e-3
COLOURS = ("#440154", "#3b528b", "#21918c", "#5ec962", "#c9b400")  # dark to light with rho0
KINDS = (("mixed past answers", "mix_"), ("the answers themselves, no mixing", ""))


def write_figure(days: Mapping[str, tuple[Study, float]], path: Path) -> None:
    """Run every day ``ROUNDS`` rounds for each rho0, with mixing and without; days with their optimum [EUR]."""
    path.write_text(draw(days).to_html(include_plotlyjs=True, config={"displaylogo": False}), encoding="utf-8")


def draw(days: Mapping[str, tuple[Study, float]]) -> go.Figure:
    """A column for each day; a row for mixed plans, one for answers."""
    from plotly.subplots import make_subplots

    figure = make_subplots(
        rows=len(KINDS),
        cols=len(days),
        shared_xaxes=True,
        shared_yaxes=True,
        horizontal_spacing=0.03,
        vertical_spacing=0.09,
        subplot_titles=[f"{day}: {title}" for title, _ in KINDS for day in days],
    )
    for col, (day, reference) in enumerate(days.values(), start=1):
        for row, (_, kind) in enumerate(KINDS, start=1):
            for rho, colour in zip(RHOS, COLOURS, strict=True):
                history = _history(day, rho, mixing=bool(kind))
                _curve(figure, (row, col), history, kind, reference, f"{rho:g}", colour, admm_settings(day.settings))
            figure.add_hline(TARGET_LINE, line={"color": "#666666", "dash": "dash", "width": 1}, row=row, col=col)
    _style(figure)
    return figure


def _history(day: Study, rho: float, *, mixing: bool) -> list[dict[str, Any]]:
    """Records of a run that does not stop on its own."""
    settings = replace(admm_settings(day.settings), rho=rho, cost_tolerance=0.0, max_iterations=ROUNDS, certify=False)
    outcome, _ = compare.by_price(day, settings if mixing else replace(settings, mixing=None))
    return outcome.history


def _curve(
    figure: go.Figure,
    cell: tuple[int, int],
    history: list[dict[str, Any]],
    kind: str,
    reference: float,
    name: str,
    colour: str,
    settings: AdmmSettings,
) -> None:
    """One run: filled markers where the plan meets the limits, hollow ones where it does not."""
    kept = [record for record in history if f"{kind}cost_eur" in record]
    good = [
        record[f"{kind}voltage_excess_pu"] <= settings.voltage_tolerance
        and record[f"{kind}loading_excess"] <= settings.loading_tolerance
        for record in kept
    ]
    fill = [colour if ok else "white" for ok in good]
    figure.add_scatter(
        x=[record["answers"] for record in kept],
        y=[max(abs(compare.gap(record[f"{kind}cost_eur"], reference)), FLOOR) for record in kept],
        mode="lines+markers",
        line={"color": colour, "width": 1.5},
        marker={"color": fill, "size": 6, "line": {"color": colour, "width": 1.3}},
        name=name,
        legendgroup=name,
        showlegend=cell == (1, 1),
        row=cell[0],
        col=cell[1],
    )


def _style(figure: go.Figure) -> None:
    note = "filled: the plan meets the limits in the AC power flow; hollow: it does not; dashed: 0.1 %"
    title = f"Distance to the central optimum over the answers of each home<br><sup>{note}</sup>"
    figure.update_layout(
        template="plotly_white",
        title={"text": title, "x": 0.02},
        legend={"title": "rho0, EUR/(kW kWh)"},
        font={"size": 13},
        height=780,
        margin={"l": 70, "r": 20, "t": 100, "b": 60},
    )
    figure.update_yaxes(type="log", range=RANGE, exponentformat="power", dtick=1)
    figure.update_yaxes(title_text="|cost - optimum| / |optimum|", col=1)
    figure.update_xaxes(range=[0, ROUNDS + 3])
    figure.update_xaxes(title_text="answers of each home", row=len(KINDS))
