"""Pictures of a solution with two parameters: its regions as polygons, its value as a surface."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mpo import _polygon
from mpo.arrays import Array
from mpo.errors import Fault, InputError
from mpo.part import Part
from mpo.solution import Solution

if TYPE_CHECKING:
    import plotly.graph_objects as go

_COLOURS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#bbbbbb")  # P. Tol's bright scheme


def polygons(solution: Solution) -> dict[int, Array]:
    """Corners ``(v, 2)`` of each region in the plane of the two parameters, by region number.

    Raises:
        InputError: not two parameters.
    """
    if solution.problem.parameters != 2:
        value, remedy = f"{solution.problem.parameters} parameters", "fix the others by slice"
        raise InputError([Fault("solution", value, "2 parameters", remedy)])
    outline = _polygon.outline(solution.theta_A, solution.theta_b)
    pieces = {0: outline} if len(outline) and len(solution) else {}
    for part in solution.parts:
        pieces = {
            number * part.regions + r: smaller
            for number, piece in pieces.items()
            for r, (G, h) in enumerate(_rows(part))
            if len(smaller := _cut(piece, G, h))
        }
    return pieces


def _rows(part: Part) -> list[tuple[Array, Array]]:
    """Rows ``G theta <= h`` of each region."""
    rows = part.rows * part.map.inverse[:, :, None]
    G, h = -rows[:, :, :-1] @ part.L, rows[:, :, :-1] @ part.shift + rows[:, :, -1]
    return list(zip(G, h, strict=True))


def _cut(polygon: Array, G: Array, h: Array) -> Array:
    """The part of a polygon where ``G theta <= h``; no corners when it has no area."""
    count, piece = len(polygon), _polygon.room(len(polygon) + len(G))
    piece[:count], other = polygon, np.empty_like(piece)
    for row, limit in zip(G, h, strict=True):
        if row.any():
            count = _polygon.clip(piece, count, row[0], row[1], limit, other)
        if count < 3:
            return np.zeros((0, 2))
    corners: Array = piece[:count].copy()
    return corners if _polygon.centroid(corners, count, np.empty(2)) > 1e-12 * np.ptp(corners) ** 2 else corners[:0]


def figure(solution: Solution, *, names: Sequence[str] = ("theta 0", "theta 1"), title: str = "") -> go.Figure:
    """Regions on the left, the value on the right; neighbouring colours mean nothing.

    Args:
        solution: of two parameters, see ``Solution.slice``.
        names: of the two parameters, for the axes.

    Raises:
        InputError: not two parameters.
    """
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    pieces = polygons(solution)
    specs = [[{"type": "xy"}, {"type": "scene"}]]
    titles = (f"{len(pieces)} critical regions", "optimal value")
    picture = make_subplots(rows=1, cols=2, specs=specs, subplot_titles=titles, column_widths=[0.5, 0.5])
    for place, (number, corners) in enumerate(pieces.items()):
        closed, colour = np.vstack([corners, corners[:1]]), _COLOURS[place % len(_COLOURS)]
        picture.add_trace(
            go.Scatter(
                x=closed[:, 0], y=closed[:, 1], fill="toself", fillcolor=colour, opacity=0.75, mode="lines",
                line={"color": "white", "width": 1}, name=f"region {number}", hoverinfo="name", showlegend=False,
            ),
            row=1, col=1,
        )  # fmt: skip
        x, y, z, i, j, k = _fan(solution, corners)
        picture.add_trace(
            go.Mesh3d(
                x=x, y=y, z=z, i=i, j=j, k=k, color=colour, flatshading=True, name=f"region {number}", showlegend=False
            ),
            row=1, col=2,
        )  # fmt: skip
    picture.update_xaxes(title_text=names[0], row=1, col=1)
    picture.update_yaxes(title_text=names[1], row=1, col=1)
    axes = {"xaxis_title": names[0], "yaxis_title": names[1], "zaxis_title": "value"}
    picture.update_layout(title_text=title or "Explicit solution", template="plotly_white", scene=axes)
    return picture


def _fan(solution: Solution, corners: Array, rings: int = 4) -> tuple[Array, Array, Array, Array, Array, Array]:
    """Triangles over one region: rings around its middle, so that a quadratic value is seen as such."""
    middle, count = corners.mean(axis=0), len(corners)
    scale = np.linspace(0.0, 1.0 - 1e-7, rings + 1)
    points = np.vstack([middle + s * (corners - middle) for s in scale])
    value = solution.evaluate(points).value
    here = np.arange(rings * count)
    beside = here // count * count + (here + 1) % count
    inner, outer = np.concatenate([here, here]), np.concatenate([here + count, beside + count])
    third = np.concatenate([beside + count, beside])
    return points[:, 0], points[:, 1], value, inner, outer, third
