"""The report: one HTML page that needs nothing else, from a result alone."""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

from admmflex.report import convergence, homes, loading, network_map, payments, prices, voltage
from admmflex.report.figures import day
from admmflex.report.verdict import numbers, verdict
from admmflex.results import Result, complete
from admmflex.summary import local_times

if TYPE_CHECKING:
    import plotly.graph_objects as go
    import xarray as xr

NAME = "report.html"


def write(result: Result, folder: Path | str) -> Path:
    """Write ``report.html`` into a folder; parts whose data the result lacks are absent."""
    return save(page(result), Path(folder) / NAME)


def save(text: str, target: Path) -> Path:
    """Write a page, whole or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with complete(target) as path:
        path.write_text(text, encoding="utf-8")
    return target


def page(result: Result) -> str:
    """The whole page."""
    data, summary = result.dataset, result.summary
    told = "".join(f"<p>{html.escape(text)}</p>" for text in verdict(summary, data.sizes["time"]) if text)
    cards = "".join(_card(*one) for one in numbers(summary))
    versions = ", ".join(f"{name} {version}" for name, version in summary.get("versions", {}).items())
    return document(
        title=str(data.attrs.get("name") or "Result"),
        about=_about(data),
        status="" if result.status == "optimal" else result.status.replace("_", " "),
        opening=f'<div class="verdict">{told}</div><dl class="numbers">{cards}</dl>',
        sections=_sections(data),
        ending=_ending(str(data.attrs.get("scenario", "")), versions),
    )


def document(*, title: str, about: str, opening: str, sections: Sequence[str], ending: str, status: str = "") -> str:
    """The template with its parts, style, script and plotly itself; ``opening``, ``sections`` and ``ending`` are HTML."""
    from plotly.offline import get_plotlyjs

    folder = files("admmflex.report")
    text = {name: folder.joinpath(name).read_text(encoding="utf-8") for name in ("page.html", "page.css", "page.js")}
    return Template(text["page.html"]).substitute(
        title=html.escape(title),
        about=html.escape(about),
        status=f'<strong class="status">{html.escape(status)}</strong>' if status else "",
        opening=opening,
        sections="\n".join(sections),
        ending=ending,
        style=text["page.css"],
        script=text["page.js"],
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
        spec = f'<script type="application/json">{_safe(str(figure.to_json()))}</script>'
        boxes.append(f'<figure id="{key}-{number}">{caption}{content}{spec}</figure>')
    note = f"<p>{html.escape(remark)}</p>" if remark else ""
    pair = " pair" if len(drawn) == 2 else ""
    return f'<section id="{key}"><h2>{html.escape(title)}</h2>{note}<div class="figures{pair}">{"".join(boxes)}</div></section>'


def _sections(data: xr.Dataset) -> list[str]:
    """All parts of the report, in the order of reading."""
    flows = "v_pu" in data or "v_pu_baseline" in data
    return [
        section("day", "The day", "", [("", _day(data) if flows else None)]),
        section(
            "map",
            "Where it is tight",
            "Buses in the colour of their worst voltage, lines as thick as their highest loading; black rings and red lines are beyond a limit.",
            network_map.maps(data),
        ),
        section("profile", "Voltage along the lines", "Highest and lowest of the day at every bus.", [("", voltage.profile(data))]),
        section("loading", "The fullest lines and transformers", "", [("", loading.peaks(data))]),
        section(
            "prices",
            "What the grid asks",
            "Value of energy on top of the tariff, by bus, nearest to the transformer at the bottom. Orange: consumption is welcome, feeding in is not.",
            prices.heat_maps(data),
        ),
        _chooser(data),
        section("money", "Who pays", payments.told(data), [("", payments.changes(data)), ("", payments.curtailment(data))]),
        section("rounds", "How the plan came about", "", [("", convergence.rounds(data))]),
        section("control", "How the day was controlled", "", [("", convergence.control(data))]),
    ]  # fmt: skip


def _day(data: xr.Dataset) -> go.Figure:
    """The day without its title: the page has one."""
    figure = day(data)
    figure.update_layout(title=None, height=900, margin={"l": 48, "r": 12, "t": 56, "b": 50})
    return figure


def _chooser(data: xr.Dataset) -> str:
    """Each home's day, drawn by the page."""
    packed = homes.chooser(data)
    if packed is None:
        return ""
    names, count = packed["names"], packed["all"]
    some = f" {len(names)} of {count}: those that coordination moved most." if len(names) < count else ""
    chosen = "".join(
        f'<option value="{row}"{" selected" if row == packed["first"] else ""}>{html.escape(name)}, bus {bus}</option>'
        for row, (name, bus) in enumerate(zip(names, packed["buses"], strict=True))
    )
    return (
        '<section id="homes"><h2>A home’s day</h2><p>Power into the grid is positive; stored energy below, between its '
        f'bounds.{some}</p><p class="chooser"><button type="button" id="before" aria-label="home before">‹</button>'
        f'<select id="home" aria-label="home">{chosen}</select>'
        '<button type="button" id="next" aria-label="next home">›</button></p>'
        '<figure id="home-plot"><div class="plot" style="height:560px"></div></figure>'
        f'<script type="application/json" id="home-data">{_safe(json.dumps(packed))}</script></section>'
    )


def _about(data: xr.Dataset) -> str:
    start = local_times(data)[0]
    parts = [start.strftime("%A %d %B %Y")]
    parts += [
        f"{data.sizes[name]} {many}" for name, many in (("prosumer", "homes"), ("bus", "buses"), ("time", "steps"))
    ]
    return " · ".join(parts)


def _card(name: str, value: str, remark: str) -> str:
    return f"<div><dt>{html.escape(name)}</dt><dd>{html.escape(value)}<small>{html.escape(remark)}</small></dd></div>"


def _ending(scenario: str, versions: str) -> str:
    """How to check the page: the scenario as it was read, and the versions."""
    text = f"<details><summary>The scenario</summary><pre>{html.escape(scenario)}</pre></details>" if scenario else ""
    return f"{text}<p>All numbers are in <code>result.nc</code> beside this page. {html.escape(versions)}</p>"


def _safe(text: str) -> str:
    """JSON that may stand in a script element."""
    return text.replace("</", "<\\/").replace("<!--", "<\\!--")
