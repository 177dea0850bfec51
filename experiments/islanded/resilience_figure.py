"""The resilience map: heat maps of survival and of the load not served that is expected."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from admmflex.report.document import document, section
from experiments.homes.page import INK, frame
from experiments.islanded.cases import DAYS, HOURS

if TYPE_CHECKING:
    import plotly.graph_objects as go

LOW, HIGH = "#b5403a", "#2f7f6f"
ROW_PX = 190
TITLES = {"five": "Five homes", "rural3": "SimBench rural3"}


def resilience_map(records: Sequence[dict[str, Any]]) -> go.Figure:
    """One column of maps for each season; start hour to the right, storage upwards.

    For each share of critical load survival [h], and the part of the load [%] that is expected not to be served by the
    schedule of least expected cost.
    """
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    seasons = [name for name in DAYS if any(one["season"] == name for one in records)]
    shares = sorted({one["critical"] for one in records})
    starts = sorted({one["start"] for one in records})
    sizes = sorted({one["storage"] for one in records})
    titles = [
        f"{what}, {100 * share:.0f} % critical, {season}"
        for what in ("hours served", "expected not served")
        for share in shares
        for season in seasons
    ]
    figure = make_subplots(
        rows=2 * len(shares), cols=len(seasons), subplot_titles=titles, vertical_spacing=0.09, horizontal_spacing=0.06
    )
    for number, title in enumerate(titles):
        row, column = divmod(number, len(seasons))
        survival, share = row < len(shares), shares[row % len(shares)]
        value = np.full((len(sizes), len(starts)), np.nan)
        for one in records:
            if one["season"] == seasons[column] and one["critical"] == share:
                value[sizes.index(one["storage"]), starts.index(one["start"])] = _value(one, survival)
        text = np.vectorize(lambda x, unit=survival: _label(x, unit))(value)
        scale = [[0.0, LOW], [0.5, "#f3efe6"], [1.0, HIGH]] if survival else [[0.0, "#f3efe6"], [1.0, LOW]]
        top = HOURS if survival else max(1.0, max(_value(one, False) for one in records))
        figure.add_trace(
            go.Heatmap(
                z=value, x=[f"{hour:02d}:00" for hour in starts], y=[f"x{size:g}" for size in sizes], text=text,
                texttemplate="%{text}", textfont={"size": 13}, colorscale=scale, zmin=0.0, zmax=top,
                showscale=False, xgap=2, ygap=2,
                hovertemplate=f"{title}<br>from %{{x}}, storage %{{y}}: %{{text}}<extra></extra>",
            ),
            row=row + 1,
            col=column + 1,
        )  # fmt: skip
    places = {one.text: one.x for one in figure.layout.annotations}
    name = TITLES[records[0]["grid"]]
    about = "start of the outage to the right, size of the community battery upwards; steps of an hour"
    frame(figure, f"{name}: how long an island lasts", about, ROW_PX * 2 * len(shares) + 170)
    for one in figure.layout.annotations:  # frame puts titles of panels at the left of the page
        one.update(x=places[one.text], xanchor="center", font={"size": 12, "color": INK})
    figure.update_layout(hovermode="closest")
    return figure


def page(records: Sequence[dict[str, Any]]) -> str:
    """The maps season by season, with what ends the islands in words."""
    seasons = [name for name in DAYS if any(one["season"] == name for one in records)]
    whole = sum(one["survival_h"] >= HOURS for one in records)
    lacks = Counter(one["lack"] for one in records if one["lack"])
    ends = ", ".join(f"{what} ({count})" for what, count in lacks.most_common())
    said = f"{whole} of {len(records)} islands serve all critical load for {HOURS:g} h."
    said += f" The others end for want of {ends}." if ends else ""
    about = "Start of the outage to the right, size of the community battery upwards, steps of an hour."
    sections = []
    for season in seasons:
        figure = resilience_map([one for one in records if one["season"] == season])
        figure.update_layout(title=None, margin={"l": 44, "r": 8, "t": 36, "b": 36})
        sections.append(section(season, season.capitalize(), "", [("", figure)]))
    return document(
        title=f"{TITLES[records[0]['grid']]}: how long an island lasts",
        about=about,
        opening=f'<div class="verdict"><p>{said}</p></div>',
        sections=sections,
        ending="<p>Every case is a line of <code>cases.jsonl</code> beside this page.</p>",
    )


def _value(one: dict[str, Any], survival: bool) -> float:
    """Hours, or percent of the load that is expected while the outage lasts."""
    return (
        float(one["survival_h"]) if survival else 100.0 * one["expected"]["expected_kwh"] / one["expected"]["load_kwh"]
    )


def _label(value: float, survival: bool) -> str:
    if np.isnan(value):
        return ""
    if not survival:
        return f"{value:.0f} %" if value >= 9.5 else f"{value:.1f} %"
    return f"{value:g}+" if value >= HOURS else f"{value:g}"
