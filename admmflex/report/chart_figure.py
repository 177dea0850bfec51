"""A picture of a cost chart: where which cost applies in the plane of powers, and the cost as a surface above it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from admmflex.horizon import Array, BoolArray

if TYPE_CHECKING:
    import plotly.graph_objects as go

GAINS, EVEN, COSTS = (0, 114, 178), (250, 250, 250), (213, 94, 0)  # giving more: blue, nothing, orange (Okabe and Ito)
INK, PALE = "#222222", "#ffffff"
SHADES = 21  # of the colour scale
STEEPEST = 30.0  # ct/kWh at its ends
FONT = {"family": "Helvetica Neue, Helvetica, Arial, sans-serif", "size": 13, "color": INK}
SCENE = {
    "xaxis": {"title": {"text": "P, kW"}},
    "yaxis": {"title": {"text": "Q, kvar"}},
    "zaxis": {"title": {"text": "EUR/h"}},
    "camera": {"eye": {"x": 1.25, "y": -1.8, "z": 1.12}, "center": {"x": 0.0, "y": 0.0, "z": -0.1}},
    "aspectmode": "manual",
    "aspectratio": {"x": 1.25, "y": 1.0, "z": 0.7},
}
SLIVER = 1e-7  # of the area of the whole polygon: smaller regions are rounding
LIFT = 0.004, 0.06  # of the height, by which borders and marks are above the surface, so that it does not hide them
NEAR = 1e-9  # EUR/h by which costs may differ and still count as equal
POWER, REACTIVE = "active power given, kW", "reactive power given, kvar"


@dataclass(frozen=True, eq=False)
class Picture:
    """A chart cut into the regions of its pieces.

    Args:
        pieces: (R, 3) a, b [EUR/kWh, EUR/kvarh] and d [EUR/h] of cost = max(a P + b Q + d).
        corners: of each region (v, 2) [kW, kvar], counterclockwise; piece r is the cost in ``corners[r]``.
    """

    pieces: Array
    corners: tuple[Array, ...]

    @classmethod
    def of(cls, pieces: Array, sides: Array) -> Picture:
        """A chart.

        Args:
            pieces: (R, 3) a, b [EUR/kWh, EUR/kvarh] and d [EUR/h]; those that fill up are left out.
            sides: (M, 3) a, b, h of a P + b Q <= h [kW].
        """
        outline = polygon(sides)
        found, kept = [], []
        for piece in (pieces := _different(pieces)):
            region = _region(outline, piece, pieces)
            if area(region) > SLIVER * area(outline) or len(pieces) == 1:
                found.append(region)
                kept.append(piece)
        return cls(np.array(kept), tuple(found))

    def cost(self, points: Array) -> Array:
        """(m,) [EUR/h] at points (m, 2); the polygon is not asked."""
        return np.asarray((points @ self.pieces[:, :2].T + self.pieces[:, 2]).max(axis=1))

    @cached_property
    def least(self) -> float:
        """[EUR/h] cost of the cheapest point."""
        return min(float(self.cost(region).min()) for region in self.corners)

    @cached_property
    def height(self) -> float:
        """[EUR/h] how much more the dearest point costs."""
        return max(float(self.cost(region).max()) for region in self.corners) - self.least

    def box(self) -> tuple[Array, Array]:
        """Least and largest powers (2,), with a margin."""
        corners = np.concatenate(self.corners)
        low, high = corners.min(axis=0), corners.max(axis=0)
        return low - 0.05 * (high - low), high + 0.05 * (high - low)

    def holds(self, points: Array, room: float = 1e-6) -> BoolArray:
        """(m,) whether points (m, 2) are in some region, or within ``room`` [kVA] of it."""
        inside = np.zeros(len(points), np.bool_)
        for region in self.corners:
            inside |= _beyond(region, points) <= room
        return inside

    def best(self, near: Array) -> Array:
        """The cheapest point (2,); of several the one nearest to a point (2,)."""
        least = self.least
        cheap = [
            _cut(region, a, b, least + NEAR - d)
            for region, (a, b, d) in zip(self.corners, self.pieces, strict=True)
            if self.cost(region).min() <= least + NEAR
        ]
        points = np.array([_nearest(face, near) for face in cheap if len(face)])
        return np.asarray(points[np.argmin(np.hypot(*(points - near).T))])


def polygon(sides: Array) -> Array:
    """Corners (v, 2) of {a P + b Q <= h} with sides (M, 3) a, b, h."""
    unit = sides / np.hypot(sides[:, 0], sides[:, 1])[:, None]
    reach = 4.0 * (1.0 + np.abs(unit[:, 2]).max())
    found: Array = reach * np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])
    for a, b, h in unit:
        found = _cut(found, a, b, h)
    return found


def area(corners: Array) -> float:
    """[kVA^2] of a polygon."""
    x, y = corners.T
    return 0.5 * float(np.abs(x @ np.roll(y, -1) - y @ np.roll(x, -1)))


def _different(pieces: Array) -> Array:
    """Without those that fill up."""
    _, first = np.unique(pieces.round(12), axis=0, return_index=True)
    return np.asarray(pieces[np.sort(first)])


def _region(outline: Array, piece: Array, pieces: Array) -> Array:
    """The part of the polygon where no other piece costs more."""
    found, rest = outline, pieces - piece
    while len(found):
        above = found @ rest[:, :2].T + rest[:, 2]
        worst = int(above.max(axis=0).argmax())
        a, b, d = rest[worst]
        if above[:, worst].max() <= NEAR or not (a or b):
            break
        found = _cut(found, a, b, -d)
        rest = np.delete(rest, worst, axis=0)
    return found


def _cut(corners: Array, a: float, b: float, h: float) -> Array:
    """The part of a convex polygon where a P + b Q <= h."""
    beyond = corners @ np.array([a, b]) - h
    if not (beyond > 0.0).any():
        return corners
    points, excess = corners.tolist(), beyond.tolist()
    kept: list[list[float]] = []
    for here, there, now, then in zip(points, points[1:] + points[:1], excess, excess[1:] + excess[:1], strict=True):
        if now <= 0.0:
            kept.append(here)
        if (now < 0.0 < then) or (then < 0.0 < now):
            share = now / (now - then)
            kept.append([here[0] + share * (there[0] - here[0]), here[1] + share * (there[1] - here[1])])
    return np.array(kept).reshape(-1, 2)


def _beyond(corners: Array, points: Array) -> Array:
    """(m,) how far points are beyond a counterclockwise polygon [kVA], negative inside."""
    along = np.roll(corners, -1, axis=0) - corners
    length = np.hypot(*along.T)
    kept = length > 1e-12
    normal = np.stack([along[kept, 1], -along[kept, 0]], axis=1) / length[kept, None]
    if not kept.any():
        return np.asarray(np.hypot(*(points - corners[0]).T))
    return np.asarray((points @ normal.T - (normal * corners[kept]).sum(axis=1)).max(axis=1))


def _nearest(corners: Array, point: Array) -> Array:
    """The point of a polygon that is nearest to another point."""
    if _beyond(corners, point[None])[0] <= 0.0:
        return point
    along = np.roll(corners, -1, axis=0) - corners
    share = ((point - corners) * along).sum(axis=1) / np.maximum((along**2).sum(axis=1), 1e-30)
    on = corners + np.clip(share, 0.0, 1.0)[:, None] * along
    return np.asarray(on[np.argmin(np.hypot(*(on - point).T))])


def shade(slope: float) -> int:
    """Number of the colour of a slope [EUR/kWh]."""
    return round(float(np.clip(100.0 * slope / STEEPEST, -1.0, 1.0)) * (SHADES // 2)) + SHADES // 2


def colour(number: int) -> str:
    """Colour of a shade."""
    share = 2.0 * number / (SHADES - 1) - 1.0
    end, weight = np.array(COSTS if share > 0.0 else GAINS), 0.15 + 0.85 * abs(share) if share else 0.0
    red, green, blue = np.rint(weight * end + (1.0 - weight) * np.array(EVEN)).astype(int)
    return f"#{red:02x}{green:02x}{blue:02x}"


def plane(picture: Picture) -> list[dict[str, Any]]:
    """Regions in the plane of powers: as many traces for every chart, one for each shade and one to hover over."""
    x: list[list[float | None]] = [[] for _ in range(SHADES)]
    y: list[list[float | None]] = [[] for _ in range(SHADES)]
    for corners, piece in zip(picture.corners, picture.pieces, strict=True):
        closed, number = np.vstack([corners, corners[:1]]).round(3), shade(piece[0])
        x[number] += [*closed[:, 0].tolist(), None]
        y[number] += [*closed[:, 1].tolist(), None]
    found: list[dict[str, Any]] = [
        {
            "type": "scatter", "x": x[number], "y": y[number], "mode": "lines", "fill": "toself",
            "fillcolor": colour(number), "line": {"color": "rgba(60,60,60,0.45)", "width": 0.7}, "hoverinfo": "skip",
        }
        for number in range(SHADES)
    ]  # fmt: skip
    middle = np.array([corners.mean(axis=0) for corners in picture.corners]).round(3)
    slopes = (100.0 * picture.pieces[:, :2]).round(2).tolist()
    found.append({
        "type": "scatter", "x": middle[:, 0].tolist(), "y": middle[:, 1].tolist(), "mode": "markers",
        "marker": {"opacity": 0, "size": 8}, "customdata": slopes,
        "hovertemplate": "one more kWh %{customdata[0]} ct<br>one more kvarh %{customdata[1]} ct<extra></extra>",
    })  # fmt: skip
    return found


def surface(picture: Picture) -> list[dict[str, Any]]:
    """The cost above its least over the plane of powers [EUR/h], and the borders of the regions."""
    least = picture.least
    points, triangles, colours, border = [], [], [], []
    count = 0
    for corners, (a, b, d) in zip(picture.corners, picture.pieces, strict=True):
        lifted = np.column_stack([corners, corners @ np.array([a, b]) + d - least])
        points.append(lifted)
        border += [lifted, lifted[:1], np.full((1, 3), np.nan)]
        fan = [(count, count + k, count + k + 1) for k in range(1, len(corners) - 1)]
        triangles += fan
        colours += [colour(shade(a))] * len(fan)
        count += len(corners)
    x, y, z = _columns(np.concatenate(points))
    i, j, k = np.array(triangles or [(0, 0, 0)]).T.tolist()
    raised = np.array([0.0, 0.0, LIFT[0] * picture.height])
    lines = dict(zip("xyz", _columns(np.concatenate(border) + raised), strict=True))
    return [
        {
            "type": "mesh3d", "x": x, "y": y, "z": z, "i": i, "j": j, "k": k, "facecolor": colours or [colour(0)],
            "flatshading": True, "hoverinfo": "skip", "lighting": {"ambient": 0.95, "diffuse": 0.2, "specular": 0.0},
        },
        {
            "type": "scatter3d", **lines, "mode": "lines", "line": {"color": "rgba(60,60,60,0.6)", "width": 1.5},
            "hoverinfo": "skip", "connectgaps": False,
        },
    ]  # fmt: skip


def _columns(rows: Array) -> list[list[float | None]]:
    """Columns as lists, rounded to W and 0.1 ct/h; None for NaN."""
    return [[None if np.isnan(one) else one for one in column] for column in rows.round(3).T.tolist()]


def marks(picture: Picture, chosen: Array, trail: Array) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """What the grid chose, what the home would choose, and where the grid went, in the plane and on the surface.

    Args:
        chosen: (2,) [kW, kvar].
        trail: (m, 2) of the hours before; on the surface only what this chart allows.
    """
    own, flat = picture.best(chosen), trail.reshape(-1, 2)
    on = flat[picture.holds(flat, 1e-3)]
    both = np.stack([own, chosen])
    sets: tuple[tuple[str, Array, Array, dict[str, Any]], ...] = (
        ("where the grid led", flat, on, {"mode": "lines", "line": {"color": INK, "width": 1.5}}),
        ("moved by the grid", both, both, {"mode": "lines", "line": {"color": INK, "dash": "dot"}}),
        ("the home by itself", own[None], own[None], _marker("diamond", PALE, INK)),
        ("chosen by the grid", chosen[None], chosen[None], _marker("circle", INK, PALE)),
    )
    below, above = [], []
    for name, seen, lifted, style in sets:
        x, y = seen.round(3).T.tolist()
        below.append({"type": "scatter", "x": x, "y": y, "name": name, **style} | _hover(name, ""))
        cost = picture.cost(lifted) - picture.least
        points = np.column_stack([lifted, cost + LIFT[1] * picture.height])
        bolder = (
            {"line": style["line"] | {"width": 4}} if "line" in style else {"marker": style["marker"] | {"size": 8}}
        )
        place = dict(zip("xyz", _columns(points), strict=True)) | {"customdata": cost.round(3).tolist()}
        told = _hover(name, "<br>%{customdata:.3f} EUR/h")
        above.append({"type": "scatter3d", **place, "name": name, **style, **bolder} | told)
    return below, above


def chart(pieces: Array, sides: Array, chosen: Array | None = None) -> go.Figure:
    """One chart: regions on the left, the cost above its least on the right.

    Args:
        pieces, sides: as for ``Picture.of``; ``chart_pieces`` and ``chart_sides`` of a result, for one home and step.
        chosen: (2,) [kW, kvar] by the grid, marked beside what the home would choose.
    """
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    picture = Picture.of(pieces, sides)
    figure = make_subplots(cols=2, specs=[[{"type": "xy"}, {"type": "scene"}]], horizontal_spacing=0.04)
    below, above = marks(picture, np.asarray(chosen), np.zeros((0, 2))) if chosen is not None else ([], [])
    for col, traces in ((1, plane(picture) + below), (2, surface(picture) + above)):
        for trace in traces:
            figure.add_trace(go.Figure(data=[trace]).data[0], row=1, col=col)
    figure.update_layout(template="plotly_white", font=FONT, height=520, showlegend=False, scene=SCENE)
    figure.update_layout(margin={"l": 64, "r": 16, "t": 24, "b": 56})
    low, high = picture.box()
    figure.update_xaxes(title_text=POWER, range=[low[0], high[0]])
    figure.update_yaxes(title_text=REACTIVE, range=[low[1], high[1]])
    return figure


def _marker(symbol: str, fill: str, rim: str) -> dict[str, Any]:
    return {
        "mode": "markers",
        "marker": {"symbol": symbol, "size": 11, "color": fill, "line": {"color": rim, "width": 2}},
    }


def _hover(name: str, more: str) -> dict[str, Any]:
    return {"hovertemplate": f"{name}<br>%{{x:.2f}} kW, %{{y:.2f}} kvar{more}<extra></extra>"}
