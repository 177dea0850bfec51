"""The command line: exit codes, what goes to which stream, and ranks; the coordination itself is replaced."""

import importlib.metadata
import io
import json
import subprocess
import sys
import types

import numba as nb
import pytest
from rich.console import Console
from typer.testing import CliRunner

from admmflex import launch as launcher
from admmflex import results
from admmflex.cli import THREADS, _console, app
from admmflex.console import fault_list, summary_table
from admmflex.errors import SolverError
from grid.errors import Fault, InputError

SCENARIO = """\
name: two homes
network: {source: grid.json}
horizon: {start: "2016-05-20 12:00", steps: 4, step_minutes: 15}
tariff: {import: 0.30, export: 0.08}
prosumers:
  list:
    - {name: a, bus: 1, assets: [{kind: load, p_kw: 1.0}]}
"""


@pytest.fixture
def asked(day, tmp_path, monkeypatch):
    """A stand-in for reading and coordinating; returns what was asked of it, and the status to answer with."""
    asked = {"status": "optimal", "folder": tmp_path / "out", "extra": {}, "day": day}

    class Coordination:
        def model_copy(self, update):
            return types.SimpleNamespace(**update)

    class Spec:
        coordination = Coordination()

        def model_copy(self, update):
            return types.SimpleNamespace(**update)

    def run(scenario, *, out, observer, keeping):
        asked["scenario"], asked["out"] = scenario, out
        observer.start({"name": "day", "prosumers": 2, "buses": 3, "steps": 4})
        observer.iteration(day.history[0])
        result = results.write(day.result(asked["status"], **asked["extra"]), out)
        observer.finish(result)
        return result

    module = types.ModuleType("admmflex.run")
    module.run = run
    monkeypatch.setitem(sys.modules, "admmflex.run", module)
    from admmflex.scenario import Scenario

    monkeypatch.setattr("admmflex.scenario.load", lambda path: Scenario(path, SCENARIO, Spec()))
    return asked


def call(asked, *options):
    return CliRunner().invoke(app, ["run", "day.yaml", "--out", str(asked["folder"]), *options])


def test_a_run_ends_with_the_table_and_the_paths(asked):
    done = call(asked)
    assert done.exit_code == 0
    assert "1.0495 pu" in done.stdout
    assert "99.0 %" in done.stdout
    assert "2.250 EUR" in done.stdout
    assert "broken in 1 step" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= max(80, len(str(asked["folder"])) + 50)
    assert (asked["folder"] / "report.html").is_file()
    assert "report.html" in done.stdout.replace("\n", "")
    assert "day: 2 prosumers" in done.stderr


def test_who_answered_is_told_and_what_was_out_of_the_ordinary(asked):
    assert "answered by" not in call(asked).stdout
    ways = {"chain": 1200, "interior point": 340}
    asked["extra"] = {"ways": ways}
    plain = call(asked).stdout
    assert "chain 1200, interior point 340" in plain
    asked["extra"] = {"ways": ways, "fallbacks": 3, "coupled_homes": 7, "burnt_kwh": 0.75}
    more = call(asked).stdout
    for text, told in (("3 times", "fallback"), ("7 homes", "inverter"), ("0.8 kWh", "burnt")):
        assert text not in plain
        assert any(told in line and text in line for line in more.splitlines())


@pytest.mark.parametrize(("status", "code"), [("optimal", 0), ("infeasible", 3), ("not_converged", 4)])
def test_exit_codes(asked, status, code):
    asked |= {"status": status, "extra": {"message": "voltage at bus 9 at 12:15"}}
    done = call(asked, "--quiet")
    assert done.exit_code == code
    assert ("bus 9 at 12:15" in done.stderr) == (code != 0)


def test_a_solver_that_gives_up_is_told_in_a_line(asked, monkeypatch):
    def give_up(*_args, **_options):
        raise SolverError("HiGHS says Unknown")

    monkeypatch.setattr(sys.modules["admmflex.run"], "run", give_up)
    done = call(asked)
    assert done.exit_code == 4
    assert done.stderr.endswith("day.yaml: not solved: HiGHS says Unknown\n")


@pytest.mark.parametrize("rounds", [0, 3])
def test_ctrl_c_says_what_is_left_and_where(asked, monkeypatch, rounds):
    def stop(_scenario, *, out, observer, keeping):
        with results.History(out) as history:
            for number in range(rounds):
                history.append({"iteration": number + 1})
            raise KeyboardInterrupt

    results.write(results.result(asked["day"].dataset()), asked["folder"])  # of an earlier run
    monkeypatch.setattr(sys.modules["admmflex.run"], "run", stop)
    done = call(asked)
    assert done.exit_code == 130
    said = " ".join(done.stderr.split())
    assert ("after 3 rounds" in said) == bool(rounds)
    assert ("history.jsonl" in said) == bool(rounds)
    assert "there is no result" in said


def test_ctrl_c_before_the_run_leaves_an_earlier_result(asked, monkeypatch):
    def stop(_scenario, *, out, observer, keeping):
        raise KeyboardInterrupt

    results.write(results.result(asked["day"].dataset()), asked["folder"])
    monkeypatch.setattr(sys.modules["admmflex.run"], "run", stop)
    assert "holds a whole result, not of what was stopped" in " ".join(call(asked).stderr.split())
    assert (asked["folder"] / "summary.json").is_file()


@pytest.mark.parametrize("command", ["run", "validate", "report", "compare", "export"])
def test_help_has_an_example(command):
    done = CliRunner().invoke(app, [command, "--help"])
    assert f"Example: admmflex {command} " in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_compiling_is_told_once_and_only_when_something_is_compiled(asked, monkeypatch):
    quick = sys.modules["admmflex.run"].run
    kernels = [nb.njit(lambda x, k=k: x + k) for k in range(2)]

    def run(*given, **options):
        assert [kernel(1) for kernel in kernels] == [1, 2]
        return quick(*given, **options)

    monkeypatch.setattr(sys.modules["admmflex.run"], "run", run)
    assert call(asked).stderr.count("compiling for this machine") == 1
    assert "compiling" not in call(asked).stderr


def test_quiet_says_nothing(asked):
    done = call(asked, "--quiet")
    assert (done.stdout, done.stderr) == ("", "")


def test_json_is_all_there_is_on_standard_output(asked):
    events = [json.loads(line) for line in call(asked, "--json").stdout.splitlines()]
    assert [event["event"] for event in events] == ["start", "iteration", "finish"]
    assert events[-1]["status"] == "optimal"


@pytest.mark.parametrize("method", ["admm", "central", "none"])
def test_the_method_can_be_chosen(asked, method):
    assert call(asked, "--method", method, "--quiet").exit_code == 0
    assert asked["scenario"].spec.coordination.method == method


def test_an_unknown_method_is_refused(asked):
    done = call(asked, "--method", "magic")
    assert done.exit_code == 2
    assert "magic" in done.stderr


def test_the_table_of_ranks_is_printed_here_and_they_know_of_no_terminal(asked, day, monkeypatch):
    def launch(ranks, arguments, environment, **options):
        asked["given"] = ranks, arguments, environment
        results.write(day.result(), asked["folder"])
        return 0

    monkeypatch.setattr("admmflex.cli._checked", lambda path, method: None)
    monkeypatch.setattr(launcher, "launch", launch)
    done = call(asked, "--ranks", "3", "--method", "admm")
    assert done.exit_code == 0
    assert "2.250 EUR" in done.stdout
    assert (asked["folder"] / "report.html").is_file()
    words = ["run", "day.yaml", "--out", str(asked["folder"]), "--method", "admm"]
    assert asked["given"] == (3, words, {"ADMMFLEX_TERMINAL": "0"})


def test_a_rank_that_was_launched_leaves_the_table_to_its_parent(asked, monkeypatch, tmp_path):
    monkeypatch.setenv("ADMMFLEX_STATUS_FILE", str(tmp_path / "status"))
    done = call(asked)
    assert (done.exit_code, done.stdout) == (0, "")
    assert (tmp_path / "status").read_text() == "0"


@pytest.mark.parametrize(
    ("told", "rank", "tty", "seen"),
    [("1", "0", False, True), ("0", "0", True, False), (None, "0", True, False), (None, None, True, True)],
)
def test_a_rank_believes_what_it_is_told_about_the_terminal(monkeypatch, told, rank, tty, seen):
    for name, value in (("ADMMFLEX_TERMINAL", told), ("OMPI_COMM_WORLD_RANK", rank)):
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value)
    stream = io.StringIO()
    monkeypatch.setattr(stream, "isatty", lambda: tty, raising=False)
    assert _console(stream).is_terminal == seen


def test_matrices_are_small_so_that_one_thread_is_enough(monkeypatch):
    for name in THREADS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    code = "import os, sys, admmflex.cli as cli; cli.app = lambda: print(*[os.environ[n] for n in cli.THREADS], "
    code += "'numpy' in sys.modules); cli.main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "4 1 1 False\n"


def test_left_to_itself_there_is_one_plan_to_show(day):
    data = day.dataset(v_pu=day.variables["v_pu"] + 0.01)
    data.attrs["method"] = "none"
    console = Console(file=io.StringIO(), width=80)
    console.print(summary_table(results.result(data).summary))
    lines = console.file.getvalue().splitlines()
    assert lines[0].split() == ["uncoordinated"]
    assert lines[3].split() == ["limits", "broken", "in", "1", "step"]


def test_only_rank_0_speaks(asked, monkeypatch):
    monkeypatch.setenv("OMPI_COMM_WORLD_RANK", "1")
    done = call(asked)
    assert (done.exit_code, done.stdout, done.stderr) == (0, "", "")
    assert not (asked["folder"] / "report.html").exists()


def test_all_faults_are_listed_at_80_columns(tmp_path):
    path = tmp_path / "bad.yaml"
    bad = SCENARIO.replace("steps: 4", "steps: -4").replace("bus: 1,", "bus: 1, colour: red,")
    path.write_text(bad, encoding="utf-8")
    for command in ("validate", "run"):
        done = CliRunner().invoke(app, [command, str(path)])
        assert done.exit_code == 2
        assert done.stdout == ""
        assert "steps = -4" in done.stderr
        assert "colour" in done.stderr
        assert max(map(len, done.stderr.splitlines())) <= max(80, len(str(path)) + 12)
        assert "Traceback" not in done.stderr


def test_a_fault_says_what_is_wrong_what_is_allowed_and_what_to_do():
    long = "a value that needs more than one line to be said, as some do when they name many things at once"
    short = Fault("battery 'x'", "eta_c = 2", "(0, 1]", "correct eta_c")
    text = fault_list(InputError([short, Fault("pv 'y'", long, long, long)]), "s.yaml")
    assert text.splitlines()[:4] == [
        "s.yaml: 2 faults",
        "  1. battery 'x': eta_c = 2",
        "     allowed: (0, 1]",
        "     to do:   correct eta_c",
    ]
    assert max(map(len, text.splitlines())) <= 80


def test_a_missing_file_is_a_fault():
    done = CliRunner().invoke(app, ["validate", "nowhere.yaml"])
    assert done.exit_code == 2
    assert "nowhere.yaml" in done.stderr


def test_help_needs_no_numerics():
    code = "import sys, admmflex.cli; print(sorted({'numpy', 'numba', 'pandas', 'rich'} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.fixture
def mpi():
    pytest.importorskip("mpi4py")
    return launcher


def test_ranks_are_refused_without_an_mpi(monkeypatch, tmp_path):
    def missing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "files", missing)
    monkeypatch.setattr(launcher.sys, "executable", str(tmp_path / "python"))
    monkeypatch.setattr(launcher.shutil, "which", lambda name: None)
    with pytest.raises(InputError, match="mpirun is not installed"):
        launcher.mpirun()


@pytest.mark.parametrize(
    ("script", "code"), [("exit 137", 75), ("exit 0", 75), ('echo 3 > "$ADMMFLEX_STATUS_FILE"', 3)]
)
def test_the_exit_code_of_the_ranks(monkeypatch, tmp_path, script, code):
    fake = tmp_path / "mpirun"
    fake.write_text(f"#!/bin/sh\n{script}\n")
    fake.chmod(0o755)
    monkeypatch.setattr(launcher, "mpirun", lambda: fake)
    assert launcher.launch(2, ["run", "x.yaml"]) == code


def test_real_ranks_report_bad_input_once(mpi, capfd):
    assert mpi.launch(2, ["run", "nowhere.yaml"]) == 2
    said = capfd.readouterr()
    assert said.err.count("is missing") == 1
    assert said.out == ""
    assert "prterun" not in said.err
