"""What pages are made of: the template, sections with their figures, and how they are written."""

from __future__ import annotations

import html
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

from admmflex.results import complete
from admmflex.summary import local_times

if TYPE_CHECKING:
    import plotly.graph_objects as go
    import xarray as xr

SCRIPTS = ("page.js", "homes.js", "charts.js")


def save(text: str, target: Path) -> Path:
    """Write a page, whole or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with complete(target) as path:
        path.write_text(text, encoding="utf-8")
    return target


def document(*, title: str, about: str, opening: str, sections: Sequence[str], ending: str, status: str = "") -> str:
    """The template with its parts, style, script and plotly; ``opening``, ``sections`` and ``ending`` are HTML."""
    from plotly.offline import get_plotlyjs

    folder = files("admmflex.report")
    text = {name: folder.joinpath(name).read_text(encoding="utf-8") for name in ("page.html", "page.css", *SCRIPTS)}
    return Template(text["page.html"]).substitute(
        title=html.escape(title),
        about=html.escape(about),
        status=f'<strong class="status">{html.escape(status)}</strong>' if status else "",
        opening=opening,
        sections="\n".join(sections),
        ending=ending,
        style=text["page.css"],
        script="\n".join(text[name] for name in SCRIPTS),
        plotly=get_plotlyjs(),
    )


def section(key: str, title: str, remark: str, figures: Sequence[tuple[str, go.Figure | None]]) -> str:
    """A heading, a remark, and figures side by side where there is room; nothing when there is no figure."""
    drawn = [(name, figure) for name, figure in figures if figure is not None]
    if not drawn:
        return ""
    boxes = []
    for number, (name, figure) in enumerate(drawn):
        caption = f"<figcaption>{html.escape(name)}</figcaption>" if name else ""
        content = f'<div class="plot" style="height:{figure.layout.height or 400}px"></div>'
        spec = f'<script type="application/json">{safe(str(figure.to_json()))}</script>'
        boxes.append(f'<figure id="{key}-{number}">{caption}{content}{spec}</figure>')
    note = f"<p>{html.escape(remark)}</p>" if remark else ""
    pair = " pair" if len(drawn) == 2 else ""
    inside = f'<div class="figures{pair}">{"".join(boxes)}</div>'
    return f'<section id="{key}"><h2>{html.escape(title)}</h2>{note}{inside}</section>'


def safe(text: str) -> str:
    """JSON that may stand in a script element."""
    return text.replace("<", "\\u003c")


def about(data: xr.Dataset) -> str:
    """Date and size of what a page is about."""
    start = local_times(data)[0]
    parts = [start.strftime("%A %d %B %Y")]
    sizes = (
        ("prosumer", "homes"),
        ("customer", "customers"),
        ("bus", "buses"),
        ("scenario", "scenarios"),
        ("time", "steps"),
    )
    parts += [f"{data.sizes[name]} {many}" for name, many in sizes if name in data.sizes]
    return " · ".join(parts)
