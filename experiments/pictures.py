"""One figure of a result as a PNG, through a headless Chromium.

python -m experiments.pictures results/day map experiments/rural3/map.png
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from admmflex.report import convergence, figures, limits, network_map, prices, voltage
from admmflex.results import require

FIGURES = {
    "day": figures.day,
    "map": lambda data: network_map.maps(data)[0][1],
    "profile": voltage.profile,
    "prices": lambda data: prices.heat_maps(data)[0][1],
    "rounds": convergence.rounds,
    "limits": limits.fan,
}
BROWSER = "chromium"
OPTIONS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--hide-scrollbars", "--virtual-time-budget=5000",
)  # fmt: skip


def picture(figure: Any, path: Path, width: int = 900) -> Path:
    """Draw a plotly figure as it stands in the report, without its tool bar."""
    height = int(figure.layout.height or 450)
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "page.html"
        figure.update_layout(width=width, height=height)
        figure.write_html(page, config={"displayModeBar": False})
        page.write_text(page.read_text(encoding="utf-8").replace("<body>", '<body style="margin:0">'), encoding="utf-8")
        words = [
            f"--user-data-dir={folder}/profile",
            f"--window-size={width},{height}",
            f"--screenshot={path.resolve()}",
        ]
        subprocess.run([BROWSER, *OPTIONS, *words, page.as_uri()], check=True, capture_output=True, timeout=120)
    return path


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("result", type=Path)
    parser.add_argument("figure", choices=FIGURES)
    parser.add_argument("png", type=Path)
    given = parser.parse_args()
    found = FIGURES[given.figure](require(given.result).dataset)
    if found is None:
        parser.error(f"{given.result} has no {given.figure}")
    picture(found, given.png)


if __name__ == "__main__":
    main()
