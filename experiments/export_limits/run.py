"""Export limits from 350 scenarios, verified in OpenDSS on others: ``python -m experiments.export_limits.run``.

Prints what each robustness costs and how often held-out scenarios break a limit; writes the figures with ``--html``.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from admmflex.export_limits.robust import Frequency, frequency
from experiments.export_limits import figure
from experiments.export_limits.feeders import RATING_KW, feeder
from experiments.export_limits.study import ROBUSTNESS, Study, energy, study


def rows(done: Study) -> list[dict[str, Any]]:
    """One row without limits and one per robustness."""
    limits, dt = done.feeder.limits, done.held.dt_h
    out = []
    for r, run in ((None, done.free), *((r, done.limited[r]) for r in ROBUSTNESS)):
        broken = run.violated(limits.v_min, limits.v_max)
        stands = np.ones(broken.shape[1], np.bool_) if r is None else done.robust[r].xi < 1.0
        often = [frequency(int(c), len(broken)) for c in broken[:, stands].sum(axis=0)]
        allowed = 1.0 if r is None else done.robust[r].step_bound
        out.append(
            {
                "robustness": r,
                "pv_kwh": energy(run.pv_kw, dt),
                "curtailed_kwh": energy(done.free.pv_kw - run.pv_kw, dt),
                "loss_kwh": energy(run.loss_kw, dt),
                "export_kwh": energy(run.export_kw, dt),
                "v_max": float(np.nanmax(run.high)),
                "loading": float(np.nanmax(run.loading)),
                "lost": int(run.lost.sum()),
                "broken": frequency(int(broken[:, stands].sum()), int(broken[:, stands].size)),
                "worst_step": max(often, key=lambda f: f.share),
                "bound": allowed,
                "steps": int(stands.sum()),
                "steps_above": sum(f.low > allowed for f in often),
                "broken_elsewhere": int(broken[:, ~stands].sum()),
                "days": frequency(int(broken.any(axis=1).sum()), len(broken)),
            }
        )
    return out


def show(done: Study, found: Sequence[dict[str, Any]], console: Console) -> None:
    """The rows as a table."""
    energies = Table(
        "robustness", "PV", "curtailed", "losses", "export", "highest V", title="kWh a day, mean of the held-out"
    )
    broken = Table(
        "robustness", "steps", "worst step", "steps above", "days", title="held-out broken, % (95 % interval)"
    )
    for row in found:
        name = "no limit" if row["robustness"] is None else f"{100 * row['robustness']:.0f} %"
        kwh = [f"{row[key]:.1f}" for key in ("pv_kwh", "curtailed_kwh", "loss_kwh", "export_kwh")]
        energies.add_row(name, *kwh, f"{row['v_max']:.4f}")
        above = f"{row['steps_above']} of {row['steps']}"
        broken.add_row(name, _share(row["broken"]), _share(row["worst_step"]), above, _share(row["days"]))
    console.print(energies, broken)
    console.print(", ".join(f"{name} {value:.1f} s" for name, value in done.seconds.items()))


def _share(found: Frequency) -> str:
    return f"{100 * found.share:.1f} ({100 * found.low:.1f} to {100 * found.high:.1f})"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(prog="python -m experiments.export_limits.run", description=__doc__)
    parser.add_argument("feeder", nargs="?", default="european", choices=list(RATING_KW))
    parser.add_argument("--scenarios", type=int, default=350)
    parser.add_argument("--held-out", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="also write the rows to this file")
    parser.add_argument("--html", type=Path, help="write the figures to this file")
    chosen = parser.parse_args(arguments)
    console = Console()
    with tempfile.TemporaryDirectory() as folder, console.status("running"):
        done = study(feeder(chosen.feeder, Path(folder)), chosen.scenarios, chosen.held_out, chosen.seed)
        found = rows(done)
    show(done, found, console)
    if chosen.json is not None:
        text = json.dumps({"rows": found, "seconds": done.seconds}, indent=2, default=vars)
        chosen.json.write_text(text + "\n", encoding="utf-8")
    if chosen.html is not None:
        figure.write(done, chosen.html)


if __name__ == "__main__":
    main()
