"""The pages in a real browser: no error in the console, every figure drawn, the chooser works, print fits the paper."""

import json
import re
import shutil
import subprocess

import pytest

from admmflex import results
from admmflex.comparison import compare
from admmflex.report import comparison_page, page

NAMES = ("chromium", "chromium-browser", "google-chrome")
BROWSER = next((found for name in NAMES if (found := shutil.which(name))), None)
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-component-update",
    "--disable-background-networking", "--disable-sync", "--hide-scrollbars", "--virtual-time-budget=5000",
)  # fmt: skip
WATCH = """<script>
window.found = [];
window.addEventListener("error", (event) => found.push(String(event.message || event.target.src)), true);
console.error = console.warn = (...all) => found.push(all.join(" "));
</script>"""
ASK = """<script>
window.addEventListener("load", () => setTimeout(async () => {
  const drawn = (plot) => plot.querySelectorAll(
    ".scatterlayer .trace, .barlayer .point, .heatmaplayer image, .hm image").length;
  const plots = [...document.querySelectorAll(".plot")];
  const lines = () => JSON.stringify(document.querySelector("#home-plot .plot").data.map((one) => one.y));
  const wide = () => Math.max(0, ...plots.map((plot) => plot.querySelector("svg").getBoundingClientRect().width));
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
