"""A week of control without a break, its memory watched: ``python -m experiments.reliability.memory``.

The week of experiments/week: a plan every quarter of an hour, warm from the one before, and control steps in between.
Memory of the process is written down every hour; the slope after the first day, with its confidence, says whether it
grows.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from admmflex.horizon import Array
from admmflex.studies.receding import RecedingSettings, simulate_prices
from experiments.compare import study

WARM_UP_H = 24.0  # kernels are loaded, and buffers are as large as they will be
STUDENT = 1.98  # 95 % for a hundred degrees of freedom


@dataclass(frozen=True)
class Growth:
    """A line through memory [MB] over hours: its slope [MB per day] and half of its 95 % interval."""

    slope: float
    uncertain: float

    @staticmethod
    def of(hours: Array, mb: Array) -> Growth:
        """By least squares; the interval is widened by what consecutive residuals have in common.

        n (1 - r) / (1 + r) of n residuals with autocorrelation r count, at least three.
        """
        centred = hours - hours.mean()
        slope = float(centred @ mb / (centred @ centred))
        rest = mb - mb.mean() - slope * centred
        spread = float(rest @ rest)
        shared = float(rest[1:] @ rest[:-1]) / spread if spread > 0.0 else 0.0
        counted = max(len(mb) * (1.0 - shared) / (1.0 + shared), 3.0)
        error = np.sqrt(spread / (counted - 2.0) / (centred @ centred) * len(mb) / counted)
        return Growth(24.0 * slope, 24.0 * STUDENT * float(error))

    @property
    def none(self) -> bool:
        """Whether zero lies within the interval, or the slope is below it."""
        return self.slope <= self.uncertain


@dataclass(frozen=True)
class Watched:
    """A week: memory by hour, what came of plans and control steps."""

    hours: list[float]
    rss_mb: list[float]
    plans: dict[str, int]
    steps: dict[str, int]
    excess_pu: float
    excess_loading: float
    seconds: float


def watch(scenario: str, control_s: float, file: Path) -> Watched:
    """Control the week; the memory of every hour is a line of ``file``."""
    day, process, started = study(scenario), psutil.Process(), time.perf_counter()
    per_hour = round(1.0 / float(day.horizon.dt_h[0]))
    hours, rss = [], []

    def note(told: dict[str, Any]) -> None:
        if told["iteration"] % per_hour:
            return
        hours.append(told["iteration"] / per_hour)
        rss.append(process.memory_info().rss / 2**20)
        with file.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps({"hour": hours[-1], "rss_mb": rss[-1]}) + "\n")

    done = simulate_prices(day, settings=RecedingSettings(control_h=control_s / 3600.0), seed=1, observe=note)
    plans = Counter(plan["status"] for plan in done.plans)
    worst = done.excess.max(axis=1)
    return Watched(
        hours, rss, dict(plans), done.statuses, float(worst[0]), float(worst[1]), time.perf_counter() - started
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Control, then print how memory went."""
    parser = argparse.ArgumentParser(prog="python -m experiments.reliability.memory", description=__doc__)
    parser.add_argument("--scenario", default="week/rural1", help="below experiments/, without .yaml")
    parser.add_argument("--control", type=float, default=60.0, help="seconds of a control step")
    parser.add_argument("--out", type=Path, default=Path("results/reliability"), help="folder of what was measured")
    given = parser.parse_args(arguments)
    given.out.mkdir(parents=True, exist_ok=True)
    hourly = given.out / "memory.jsonl"
    hourly.unlink(missing_ok=True)
    found = watch(given.scenario, given.control, hourly)
    (given.out / "memory.json").write_text(json.dumps(asdict(found)) + "\n", encoding="utf-8")
    hours, rss = np.array(found.hours), np.array(found.rss_mb)
    later = hours > WARM_UP_H
    growth = Growth.of(hours[later], rss[later])
    print(f"{hours[-1]:g} h, {sum(found.plans.values())} plans, {sum(found.steps.values())} control steps")
    print(f"plans: {found.plans}; control steps: {found.steps}")
    print(f"largest excess {found.excess_pu:.1e} pu, {100 * found.excess_loading:.2f} % of a rating")
    print(f"memory {rss[later][0]:.1f} MB after a day, {rss[-1]:.1f} MB at the end, {rss.max():.1f} MB at most")
    print(f"slope {growth.slope:+.2f} MB per day, +- {growth.uncertain:.2f} (95 %)")
    print(f"{found.seconds:.0f} s")


if __name__ == "__main__":
    main()
