"""The same day under several ways of control, as a picture: exchange, energy, voltage and cost over the day."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import grid
from admmflex.coordination.schemes import Outcome
from admmflex.data.study import Study
from admmflex.horizon import Array
from admmflex.prosumers.devices import Devices
from admmflex.prosumers.prosumer import Prosumer
from admmflex.studies.day import Day

if TYPE_CHECKING:
    import plotly.graph_objects as go

COLOURS = ("#222222", "#d55e00", "#0072b2", "#009e73", "#999999")
PANELS = ("homes together, kW into the grid", "stored in all homes, kWh", "highest voltage, pu", "cost so far, EUR")


@dataclass(frozen=True, eq=False)
class Course:
    """One way of control, over T steps: hours from the start at their ends, and what the panels show, (T,) each."""

    name: str
    hour: Array
    p_kw: Array
    energy_kwh: Array
    v_max: Array
    cost_eur: Array

    @staticmethod
    def of_day(name: str, day: Day) -> Course:
        """What happened in closed loop."""
        hour = day.dt_h * np.arange(1, day.powers.shape[2] + 1)
        cost = np.cumsum(day.cost.sum(axis=0))
        return Course(name, hour, day.powers[0].sum(axis=0), day.energy.sum(axis=0), day.v_pu[1], cost)

    @staticmethod
    def of_plan(name: str, study: Study, found: Outcome) -> Course:
        """A plan; the cost so far is that of the tariff, shifted to end at the cost of the plan."""
        network, p, dt = study.network, found.plan.y[0], study.horizon.dt_h
        at = network.positions([one.bus for one in study.prosumers])
        injected = np.zeros((2, network.n, study.horizon.steps))
        for c in range(2):
            np.add.at(injected[c], at, found.plan.y[c])
        v_max = np.abs(grid.power_flow(network, injected[0], injected[1]).v).max(axis=0)
        bought, sold = (
            np.stack([getattr(one, name) for one in study.prosumers]) for name in ("import_price", "export_price")
        )
        paid = np.cumsum((np.where(p < 0.0, -bought * p, -sold * p) * dt).sum(axis=0))
        paid += (found.plan.cost - paid[-1]) * np.cumsum(dt) / dt.sum()
        homes = [one for one in study.prosumers if isinstance(one, Prosumer)]
        stores = Devices.of(homes, study.horizon).storage_asset
        return Course(name, np.cumsum(dt), p.sum(axis=0), found.plan.assets[2, stores].sum(axis=0), v_max, paid)


def figure(courses: Sequence[Course], v_max: float, title: str) -> go.Figure:
    """Four panels, one line for each way."""
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    picture = make_subplots(rows=4, cols=1, shared_xaxes=True, vertical_spacing=0.05, subplot_titles=PANELS)
    for course, colour in zip(courses, COLOURS, strict=False):
        values = course.p_kw, course.energy_kwh, course.v_max, course.cost_eur
        for row, value in enumerate(values, start=1):
            line = go.Scatter(
                x=course.hour, y=value, name=course.name, line={"color": colour, "width": 1.5}, showlegend=row == 1,
                legendgroup=course.name,
            )  # fmt: skip
            picture.add_trace(line, row=row, col=1)
    picture.add_hline(y=v_max, line={"color": "#cc3311", "dash": "dash", "width": 1}, row=3, col=1)  # type: ignore[arg-type]
    picture.update_xaxes(title_text="hours of the day", dtick=3, row=4, col=1)
    picture.update_layout(
        title_text=title, template="plotly_white", height=1000, width=1000, legend={"orientation": "h", "y": 1.06}
    )
    return picture


def write(courses: Sequence[Course], v_max: float, title: str, path: Path) -> None:
    """A page of its own, without a network."""
    figure(courses, v_max, title).write_html(path, include_plotlyjs=True)
