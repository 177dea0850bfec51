"""What a run tells: the same events in every form, within 80 columns, with an honest estimate."""

import io
import json
import math

import pytest
from rich.console import Console

from admmflex.progress import JsonLines, Lines, Live, Silent, bar, now_and_then
from admmflex.time_left import Clock, elapsed, rounds_left

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
    assert max(map(len, lines)) <= 80


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
@pytest.mark.parametrize("every", [1, 3])
def test_rounds_left_is_exact_when_the_ratio_falls_by_a_factor(factor, every):
    points = [(every * n, 50.0 * factor**n) for n in range(6)]
    until = points[-1][0] + every * math.log(points[-1][1]) / -math.log(factor)
    assert rounds_left(points, points[-1][0] + 1) == pytest.approx(max(until - points[-1][0] - 1, 0.0))


@pytest.mark.parametrize("ratios", [[], [3.0], [2.0, 2.0, 2.0], [1.5, 2.0, 4.0], [math.inf]])
def test_rounds_left_says_nothing_without_a_trend(ratios):
    assert rounds_left(list(enumerate(ratios)), len(ratios)) is None


def test_a_mixed_plan_has_its_own_line_and_tells_when_it_ends():
    """The change of the cost halves from mix to mix, to twice the target: one more mix is due."""
    stream, clock = io.StringIO(), Clock({"targets": {"voltage_excess_pu": 1e-4, "cost_change": 1e-4}})
    log, left = Lines(stream), None
    cost = 100.0
    for n in range(1, 14):
        record = RECORDS[0] | {"iteration": n}
        if n % 3 == 1:
            cost -= 32e-2 * 0.5 ** (n // 3)
            record |= {"mix_cost_eur": cost, "mix_voltage_excess_pu": 0.0}
        clock.tick(record)
        log.iteration(record)
        left = rounds_left(clock._points, clock.rounds)
    assert left == pytest.approx(3.0, abs=0.1)
    mixed = [line for line in stream.getvalue().splitlines() if "mixed plan" in line]
    assert len(mixed) == 5
    assert mixed[-1].split() == ["mixed", "plan", f"{cost:.3f}", "0", "-"]


@pytest.mark.parametrize(("seconds", "text"), [(3.24, "3.2 s"), (65, "1:05 min"), (7800, "2:10 h"), (None, "-")])
def test_durations(seconds, text):
    assert elapsed(seconds) == text


def test_a_bar_is_silent_where_there_is_no_terminal(capsys):
    with bar("attacks") as told:
        told(3, 10)
        told(10, 10)
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "")


def test_long_work_says_now_and_then_how_much_is_left(monkeypatch):
    clock = iter([0.0, 1.0, 3.0, 4.0, 6.0, 9.0])
    monkeypatch.setattr("admmflex.progress.time.perf_counter", lambda: next(clock))
    said = []
    tell = now_and_then(said.append)
    for share in (0.1, 0.25, 0.3, 0.5, 1.0):
        tell(share)
    assert said == ["25%, about 9.0 s left", "50%, about 6.0 s left"]
