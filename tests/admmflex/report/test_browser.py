"""The pages in a real browser: no error in the console, every figure drawn, choosers work, print fits the paper."""

import json
import re
import shutil
import subprocess

import numpy as np
import pytest
import xarray as xr
from numpy.testing import assert_allclose

from admmflex import results
from admmflex.comparison import compare
from admmflex.report import comparison_page, page
from admmflex.report.chart_figure import Picture, area
from admmflex.variables import EXPORT

NAMES = ("chromium", "chromium-browser", "google-chrome")
BROWSER = next((found for name in NAMES if (found := shutil.which(name))), None)
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-component-update",
    "--disable-background-networking", "--disable-sync", "--hide-scrollbars", "--virtual-time-budget=5000",
    "--enable-unsafe-swiftshader",
)  # fmt: skip
WATCH = """<script>
window.found = [];
window.addEventListener("error", (event) => found.push(String(event.message || event.target.src)), true);
console.error = console.warn = (...all) => found.push(all.join(" "));
</script>"""
ASK = """<script>
window.addEventListener("load", () => setTimeout(async () => {
  const drawn = (plot) => plot.querySelectorAll(
    ".scatterlayer .trace, .barlayer .point, .heatmaplayer image, .hm image, .gl-container canvas").length;
  const plots = [...document.querySelectorAll(".plot")];
  const scene = (plot) => plot.querySelector(".gl-container canvas") !== null;
  const lines = () => JSON.stringify(document.querySelector("#home-plot .plot").data.map((one) => one.y));
  const flats = () => plots.filter((plot) => !scene(plot)).map((plot) => plot.querySelector("svg"));
  const wide = () => Math.max(0, ...flats().map((svg) => svg.getBoundingClientRect().width));
  const told = {drawn: plots.map(drawn), names: plots.map((plot) => plot.closest("figure").id)};
  told.overflow = document.documentElement.scrollWidth - window.innerWidth;
  const select = document.getElementById("home");
  if (select) {
    told.first = [select.selectedIndex, lines()];
    document.getElementById("next").click();
    await new Promise((done) => setTimeout(done, 100));
    told.next = [select.selectedIndex, lines()];
    select.selectedIndex = told.first[0];
    select.dispatchEvent(new Event("change"));
    await new Promise((done) => setTimeout(done, 100));
    told.back = [select.selectedIndex, lines()];
  }
  const flat = document.querySelector("#chart-plane .plot");
  if (flat) {
    const regions = () => flat.data.filter((one) => one.fill).map((one) => one.x.map((x, i) => [x, one.y[i]]));
    const point = (name) => flat.data.filter((one) => one.name === name).map((one) => [one.x[0], one.y[0]])[0];
    told.charts = [];
    for (const step of document.getElementById("chart-step").options) {
      document.getElementById("chart-step").value = step.value;
      document.getElementById("chart-step").dispatchEvent(new Event("change"));
      await new Promise((done) => setTimeout(done, 300));
      const mesh = document.querySelector("#chart-surface .plot").data.find((one) => one.type === "mesh3d");
      const [own, chosen] = [point("the home by itself"), point("chosen by the grid")];
      told.charts.push({regions: regions(), own, chosen, top: Math.max(...mesh.z)});
    }
    told.image = document.querySelector("#chart-surface img").src.slice(0, 21);
  }
  window.dispatchEvent(new Event("beforeprint"));
  await new Promise((done) => setTimeout(done, 100));
  told.printed = wide();
  told.found = window.found;
  const out = document.createElement("pre");
  out.id = "told";
  out.textContent = JSON.stringify(told);
  document.body.append(out);
}, 500));
</script>"""


@pytest.fixture(autouse=True)
def browser():
    if BROWSER is None:
        pytest.skip("no Chromium on this machine")


def opened(text, tmp_path, width):
    """What the page says of itself at a width."""
    file = tmp_path / "page.html"
    file.write_text(text.replace("<style>", WATCH + "<style>", 1).replace("</body>", ASK + "</body>"), encoding="utf-8")
    command = [BROWSER, *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", f"--window-size={width},900", "--dump-dom"]
    done = subprocess.run([*command, file.as_uri()], capture_output=True, text=True, timeout=120, check=True)
    told = re.search(r'<pre id="told">(.*?)</pre>', done.stdout, re.DOTALL)
    assert told, done.stderr[-2000:]
    return json.loads(told[1].replace("&gt;", ">").replace("&lt;", "<").replace("&amp;", "&"))


@pytest.mark.parametrize("width", [1200, 500])
def test_the_report_works(day, tmp_path, width):
    told = opened(page.page(day.result()), tmp_path, width)
    assert told["found"] == []
    assert len(told["drawn"]) >= 8
    assert [name for name, drawn in zip(told["names"], told["drawn"], strict=True) if not drawn] == []
    assert told["overflow"] <= 0
    assert told["next"][0] != told["first"][0]
    assert told["next"][1] != told["first"][1]
    assert told["back"] == told["first"]
    assert told["printed"] <= 690


def test_the_comparison_works(day, tmp_path):
    several = [day.result(), day.result()]
    told = opened(comparison_page.page(compare(several), several), tmp_path, 1200)
    assert told["found"] == []
    assert all(told["drawn"])


def test_a_day_without_a_plan_works(day, tmp_path):
    dropped = ["p_kw", "q_kvar", "asset_p_kw", "asset_q_kvar", "energy_kwh", "price_p", "price_q", "v_pu", "loading"]
    told = opened(page.page(results.result(day.dataset("infeasible", drop=dropped))), tmp_path, 1200)
    assert told["found"] == []
    assert all(told["drawn"])


SQUARE = np.array([[1.0, 0.0, 3.0], [-1.0, 0.0, 2.0], [0.0, 1.0, 2.0], [0.0, -1.0, 2.0]])
CHARTS = (
    np.array([[0.3, 0.0, 0.0], [-0.1, 0.0, 0.0], [-0.1, 0.05, -0.02], [-0.1, -0.05, -0.02]]),
    np.array([[-0.08, 0.0, 7.0], [0.1, 0.02, 7.1], [0.0, 0.0, 7.0], [0.0, 0.0, 7.0]]),
    np.array([[0.0, 0.0, 0.0]] * 4),
)  # a bottom line, a bottom region, and no cost at all
CHOSEN = np.array([[-0.5, 1.5], [0.5, -1.0], [1.0, 1.0]])


def charts_day(day):
    """The day under charts, with three of the first home."""
    pieces = np.stack(CHARTS)[None]
    sides = np.broadcast_to(SQUARE, (1, len(CHARTS), *SQUARE.shape))
    values = {
        "chart_prosumer": np.array([0]), "chart_step": np.array([0, 1, 3]), "chart_pieces": pieces,
        "chart_sides": sides, "chart_p_kw": CHOSEN[None, :, 0], "chart_q_kvar": CHOSEN[None, :, 1],
    }  # fmt: skip
    data = day.dataset(drop=[name for name in day.variables if name.endswith("_baseline")], **values)
    data.attrs["method"] = "charts"
    for name in ("chart_ms", "central_ms", "voltage_excess_pu", "loading_excess"):
        data[f"history_{name}"] = ("iteration", np.array([12.0, 15.0]))
    return results.result(data)


@pytest.mark.parametrize("width", [1200, 500])
def test_charts_are_cut_into_their_regions(day, tmp_path, width):
    """The page cuts charts into regions as ``Picture`` does."""
    told = opened(page.page(charts_day(day)), tmp_path, width)
    assert told["found"] == []
    assert [name for name, drawn in zip(told["names"], told["drawn"], strict=True) if not drawn] == []
    assert told["overflow"] <= 0
    assert told["printed"] <= 690
    assert told["image"] == "data:image/png;base64"
    for chart, pieces, chosen in zip(told["charts"], CHARTS, CHOSEN, strict=True):
        picture = Picture.of(pieces, SQUARE)
        areas = sorted(area(np.array(ring)[:-1]) for ring in chart["regions"])
        assert_allclose(areas, sorted(area(corners) for corners in picture.corners), atol=1e-4)
        assert_allclose(sum(areas), 20.0, atol=1e-3)
        assert_allclose(chart["own"], picture.best(chosen), atol=1e-4)
        assert_allclose(chart["chosen"], chosen)
        assert_allclose(chart["top"], picture.height, atol=1e-5)


@pytest.mark.parametrize("method", ["central", "none"])
def test_the_report_of_every_method_works(day, tmp_path, method):
    data = day.dataset()
    data.attrs["method"] = method
    told = opened(page.page(results.result(data)), tmp_path, 1200)
    assert told["found"] == []
    assert [name for name, drawn in zip(told["names"], told["drawn"], strict=True) if not drawn] == []


def export_day(start):
    """Export limits of four customers, one of them without PV, over a morning of eight scenarios."""
    sizes = {"scenario": 8, "time": 4, "robustness": 2, "quantile": 7, "phase": 3, "customer": 4}
    rng = np.random.default_rng(0)
    data = {}
    for name, one in EXPORT.items():
        values = rng.uniform(0.9, 1.1, [sizes[dim] for dim in one.dims])
        data[name] = (one.dims, np.sort(values, axis=one.dims.index("quantile")) if "quantile" in one.dims else values)
    data["binding"] = (
        EXPORT["binding"].dims,
        np.array([["", "voltage of phase a at bus 3", "power in trafo 0", ""]] * 8),
    )
    data["phase_share"] = (EXPORT["phase_share"].dims, np.vstack([np.eye(3), np.full(3, 1 / 3)]))
    data["rating_kw"] = ("customer", np.array([5.0, 5.0, 0.0, 5.0]))
    data["customer_bus"] = ("customer", np.array(["b1", "b2", "b3", "b4"]))
    coordinates = {
        "time": start, "robustness": [95.0, 90.0], "phase": ["a", "b", "c"], "customer": list("wxyz"),
        "quantile": [0.0, 5.0, 25.0, 50.0, 75.0, 95.0, 100.0],
    }  # fmt: skip
    about = {"status": "optimal", "name": "limits", "method": "export-limits", "v_min_pu": 0.9, "v_max_pu": 1.1}
    limit = {"lowest_limit": 0.12, "curtailed_kwh": 3.0, "broken": 0.01}
    limits = [limit | {"robustness_percent": one} for one in (95.0, 90.0)]
    found = {"customers": 4, "scenarios": 8, "limits": limits, "broken_free": 0.5}
    return results.Result(xr.Dataset(data, coordinates, about), {"export_limits": found, "method": "export-limits"})


@pytest.mark.parametrize("width", [1200, 500])
def test_the_report_of_export_limits_works(day, tmp_path, width):
    told = opened(page.page(export_day(day.dataset()["time"].values)), tmp_path, width)
    assert told["found"] == []
    assert [name.split("-")[0] for name in told["names"]] == ["limits", "voltages", "broken", "binding", "customers"]
    assert all(told["drawn"])
    assert told["overflow"] <= 0
    assert told["printed"] <= 690
