"""What the devices of all homes give and take, before and after, by kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from admmflex.horizon import Array
from admmflex.report.homes import NAMES
from admmflex.report.style import AFTER, BEFORE, plans, tidy

if TYPE_CHECKING:
    import plotly.graph_objects as go
    import xarray as xr

SAME_KWH = 0.05


def energies(data: xr.Dataset) -> go.Figure | None:
    """Energy of the horizon [kWh] of the kinds of devices that do otherwise than alone; None where nothing differs."""
    import plotly.graph_objects as go

    if "asset_p_kw" not in data or "asset_p_kw_baseline" not in data or plans(data)[-1][0]:
        return None
    kinds, dt = data["asset_kind"].to_numpy(), data["dt_h"].to_numpy()
    each = list(dict.fromkeys(kinds.tolist()))
    sums = {title: _sums(data[f"asset_p_kw{suffix}"].to_numpy(), kinds, dt) for suffix, title, *_ in plans(data)}
    moved = np.ptp(np.stack(list(sums.values())), axis=0).max(axis=1) > SAME_KWH
    if not moved.any():
        return None
    labels = [NAMES.get(kind, (str(kind).replace("_", " "), ""))[0] for kind in each]
    figure = go.Figure()
    for (title, energy), colour in zip(reversed(sums.items()), (AFTER[0], BEFORE[0]), strict=True):
        for column, side in enumerate(("given", "taken")):
            figure.add_bar(
                y=np.array(labels)[moved], x=energy[moved, column], name=title, marker={"color": colour},
                orientation="h", offsetgroup=title, legendgroup=title, showlegend=column == 0,
                hovertemplate=f"{title}, {side}: %{{x:.1f}} kWh<extra></extra>",
            )  # fmt: skip
    tidy(figure, 130 + 62 * int(moved.sum()), barmode="relative", bargap=0.3, hovermode="closest")
    figure.update_xaxes(title_text="kWh, given to the right, taken to the left", zeroline=True, zerolinecolor="#777")
    figure.update_yaxes(autorange="reversed")
    figure.update_layout(legend_traceorder="reversed")
    return figure


def _sums(power: Array, kinds: Any, dt: Array) -> Array:
    """(kinds, 2) [kWh] given and taken by the devices of each kind."""
    both = np.stack([power.clip(0.0, None), power.clip(None, 0.0)]) @ dt
    return np.array([both[:, kinds == kind].sum(axis=1) for kind in dict.fromkeys(kinds.tolist())])
