"""What a run tells: the same events in every form, within 80 columns, with an honest estimate."""

import io
import json
import math

import numpy as np
import pytest
from rich.console import Console

from admmflex.progress import JsonLines, Lines, Live, Silent, elapsed, rounds_left

RECORDS = [
    {
        "iteration": n,
        "primal": 0.5**n,
        "dual": 0.3**n,
        "rho": 0.01,
        "cost_eur": 44.0 + n,
        "voltage_excess_pu": 1e-2 * 0.5**n,
        "loading_excess": -0.1,
    }
    for n in range(1, 6)
]
SIZES = {"name": "day", "prosumers": 13, "buses": 15, "steps": 96, "method": "admm"}
INFO = SIZES | {"max_iterations": 100, "targets": {"voltage_excess_pu": 1e-4}}


def tell(observer, result):
    observer.start(INFO)
    for record in RECORDS:
        observer.iteration(record)
    observer.message("transformer 0: neutral tap")
    observer.finish(result)
    observer.close()


def test_json_lines_are_one_event_each(day):
    stream = io.StringIO()
    tell(JsonLines(stream), day.result())
    events = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [event["event"] for event in events] == ["start", *["iteration"] * 5, "message", "finish"]
    assert events[3]["primal"] == 0.125
    assert events[-1]["objective_eur"] == 2.25


def test_plain_lines_hold_the_numbers(day):
    stream = io.StringIO()
    tell(Lines(stream), day.result())
    lines = stream.getvalue().splitlines()
    assert lines[0] == "day: 13 prosumers, 15 buses, 96 steps (admm)"
    assert lines[2].split()[:7] == ["1", "5.00e-01", "3.00e-01", "1.00e-02", "45.000", "+0.00500", "0"]
    assert max(map(len, lines)) <= 100


def test_the_live_display_fits_80_columns_and_gives_the_terminal_back(day):
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=80, height=24)
    tell(Live(console), day.result())
    assert "\x1b[?25h" in stream.getvalue()  # the cursor is shown again
    shown = Console(file=io.StringIO(), width=80)
    live = Live(console)
    live.iteration(RECORDS[0])
    shown.print(live._picture())
    assert max(map(len, shown.file.getvalue().splitlines())) <= 80
    live.close()


def test_silence(day, capsys):
    tell(Silent(), day.result())
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("factor", [0.3, 0.7, 0.95])
def test_rounds_left_is_exact_when_the_ratio_falls_by_a_factor(factor):
    ratios = 50.0 * factor ** np.arange(6)
    expected = math.log(ratios[-1]) / -math.log(factor)
    assert rounds_left(list(ratios)) == pytest.approx(max(expected, 0.0))


@pytest.mark.parametrize("ratios", [[], [3.0, 2.0], [2.0, 2.0, 2.0], [1.5, 2.0, 4.0], [math.nan] * 5, [0.0, -1.0, 0.0]])
def test_rounds_left_says_nothing_without_a_trend(ratios):
    assert rounds_left(ratios) is None


@pytest.mark.parametrize(("seconds", "text"), [(3.24, "3.2 s"), (65, "1:05 min"), (7800, "2:10 h"), (None, "-")])
def test_durations(seconds, text):
    assert elapsed(seconds) == text
